"""A small chat model beside the gateway: llama.cpp's own HTTP server, out of the wheel `xllamacpp`, with real weights.

This module finds the weights, sets bounds that suit a shared CPU, and waits for the end; llama.cpp itself speaks
OpenAI's API and answers every model name with the one model it has. It closes a kept-alive connection after 5 s without
a request and after 100 requests, and each open one holds a thread: a client keeps few and expects to lose them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

from gateway.backends import embedded_models, openmp, serving
from gateway.errors import ConfigError

HTTP_THREADS = 64  # one per open connection, idle ones included; it starts more when there are more connections
KEPT_PROMPTS_MIB = 64
SOCKET_SUFFIX = ".sock"  # by this llama.cpp's server knows a path from a host name


def main(arguments: list[str] | None = None) -> None:
    """Serves until SIGTERM or SIGINT (open answers are cut), or until the parent ends; exit code 1 if it cannot."""
    args = _options(arguments)
    if embedded_models.kind_of(args.model) != "chat":
        sys.exit(f"{args.model} is not a chat model")
    openmp.provide()
    # Before llama.cpp starts its threads: they inherit this, and only `sigwait` below shall take the signals.
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    serving.end_with_parent(args.parent)
    try:
        (weights,) = embedded_models.files_of(args.model)
    except ConfigError as exc:
        sys.exit(str(exc))

    import xllamacpp

    if args.socket:
        serving.clear_stale_socket(args.socket)
        os.umask(0o177)  # nobody else connects
    try:
        server = xllamacpp.Server(_parameters(xllamacpp.CommonParams(), weights, args))
    except RuntimeError as exc:
        sys.exit(f"llama.cpp cannot serve {weights}: {exc}")
    # The wheel says unix:///path; an address is printed as the other servers print theirs.
    sys.stdout.write(f"listening {server.listening_address.replace('unix:///', 'unix:/')}\n")
    sys.stdout.flush()
    signal.sigwait(ending)
    if args.socket:
        Path(args.socket).unlink(missing_ok=True)
    os._exit(0)  # llama.cpp's own end waits for running generations, which nobody reads any more


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.backends.embedded_chat", description=(__doc__ or "").split("\n")[0]
    )
    serving.add_address_options(parser)
    cpus = _cpus()
    parser.add_argument("--model", default="smollm2-135m", help="smollm2-135m (default) or the path of a .gguf file")
    parser.add_argument("--served-name", help="the model's name in answers (default: its own)")
    # llama.cpp's threads wait for each other by spinning: with one for each CPU, anything else that runs on the machine
    # (the gateway, a client) slows generation many times over. Two busy CPUs: 39 tokens/s with one thread, 3 with two.
    parser.add_argument(
        "--threads",
        type=int,
        default=max(1, min(8, cpus // 2)),
        help="threads that compute (default: half the CPUs, at most 8)",
    )
    parser.add_argument("--slots", type=int, default=min(4, max(2, cpus)), help="requests answered at once; more wait")
    parser.add_argument("--context-tokens", type=int, default=4096, help="longest prompt with its answer, per request")
    parser.add_argument(
        "--output-tokens", type=int, default=512, help="longest answer, also when the caller sets no limit"
    )
    args = parser.parse_args(arguments)
    if args.socket and not args.socket.endswith(SOCKET_SUFFIX):
        parser.error(f"--socket must end in {SOCKET_SUFFIX}")
    return args


def _cpus() -> int:
    """CPUs that this process is granted: its affinity, lowered to the control group's quota where there is one."""
    granted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return min(granted, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no control group in sight, or "max"
        return granted


def _parameters(parameters: Any, weights: Path, args: argparse.Namespace) -> Any:
    parameters.model.path = str(weights)
    parameters.model_alias = {args.served_name or embedded_models.served_name(args.model)}
    parameters.hostnames = [args.socket or args.host]
    parameters.port = args.port
    parameters.n_parallel = args.slots
    parameters.n_ctx = args.context_tokens * args.slots  # llama.cpp divides it among the slots
    parameters.n_predict = (
        args.output_tokens
    )  # without it, a small model that repeats itself goes on to the end of the context
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = args.threads
    parameters.n_threads_http = HTTP_THREADS
    parameters.cache_ram_mib = KEPT_PROMPTS_MIB  # its default is 8 GiB
    parameters.sampling.temp, parameters.sampling.top_p = 0.2, 0.9  # the model card's; a caller's own values win
    template = embedded_models.chat_template(args.model)
    if template:
        parameters.chat_template = template
    parameters.ui = False
    parameters.endpoint_slots = False  # it shows prompts
    parameters.offline = True
    parameters.verbosity = 1  # errors only: its log would hold prompts
    return parameters


if __name__ == "__main__":
    main()
