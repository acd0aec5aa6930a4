"""A scripted, OpenAI-compatible server: the thing to test a configuration with when there is no GPU.

It speaks chat, completions, embeddings, models, tokenize and detokenize as vLLM does, counts tokens honestly, simulates
a prefix cache, and does what its script says (`gateway.backends.fake_script`): answers, delays, errors, broken streams.
This module is its command line; the app is `gateway.backends.fake_server`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from gateway.backends import fake_script, serving
from gateway.backends.fake_script import Script
from gateway.backends.fake_server import Fake
from gateway.errors import ConfigError


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the server's command line, beside those of `serving.add_address_options`."""
    parser.add_argument(
        "--script", type=Path, metavar="FILE", help="rules in YAML: what to answer, delay, refuse and break"
    )
    parser.add_argument("--answer", help="the answer without a rule (default {last}: an echo; {words}: how many words)")
    parser.add_argument("--delay-ms", type=float, help="wait so long before each answer")
    parser.add_argument("--token-delay-ms", type=float, help="wait so long before each token of a stream")
    parser.add_argument(
        "--model", action="append", default=[], help="a served model (repeat; default: any name is served)"
    )
    parser.add_argument("--api-key", help="ask callers for this key")
    parser.add_argument("--context-tokens", type=int, default=131_072, help="longest prompt (default 131072)")
    parser.add_argument(
        "--prefix-blocks", type=int, default=4096, help="size of the simulated prefix cache, in blocks of 16 tokens"
    )


def main(arguments: list[str] | None = None) -> None:
    """Runs the server until SIGTERM; a script that cannot be used ends it with exit code 1 and a message."""
    parser = argparse.ArgumentParser(prog="lockgate fake", description=(__doc__ or "").split("\n", 1)[0])
    serving.add_address_options(parser)
    add_options(parser)
    args = parser.parse_args(arguments)
    try:
        script = fake_script.parse(args.script.read_bytes()) if args.script else Script()
    except (OSError, ConfigError) as exc:
        raise SystemExit(f"{args.script}: {exc}") from None
    given = {"answer": args.answer, "delay_ms": args.delay_ms, "token_delay_ms": args.token_delay_ms}
    script = msgspec.structs.replace(script, **{name: value for name, value in given.items() if value is not None})
    app = Fake(
        script,
        models=tuple(args.model),
        api_key=args.api_key,
        context_tokens=args.context_tokens,
        prefix_blocks=args.prefix_blocks,
    )
    serving.run(app, args)


if __name__ == "__main__":
    main()
