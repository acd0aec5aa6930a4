"""onnxruntime by itself, for the rows that compare with it: `python -m tests.bench.ort_alone MODEL ROWS RUNS` prints
the CPU µs of one run of ROWS rows, one thread, inputs ready as arrays.
"""

from __future__ import annotations

import sys
import time

import onnxruntime

from tests.bench import classic_rows


def main() -> None:
    model, rows, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = classic_rows.arrays(rows)
    for _ in range(runs // 5 + 1):
        session.run(None, inputs)
    begun_ns = time.process_time_ns()
    for _ in range(runs):
        session.run(None, inputs)
    sys.stdout.write(f"{(time.process_time_ns() - begun_ns) / 1e3 / runs}\n")


if __name__ == "__main__":
    main()
