"""`lockgate fake`: the scripted server by hand, to test a configuration without a GPU."""

from __future__ import annotations

import click


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    short_help="A scripted OpenAI-compatible server, to test a configuration without a GPU.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def fake(arguments: tuple[str, ...]) -> None:
    """Everything after `fake` belongs to `python -m gateway.backends.fake`: one list of options for both."""
    from gateway.backends.fake import main

    main(list(arguments))
