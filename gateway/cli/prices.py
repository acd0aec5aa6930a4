"""`lockgate prices`: the price map that `price: from_price_map` is looked up in."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.cli.import_config import read_text
from gateway.errors import ConfigError

_MOST_REASONS = 12


@click.group(short_help="The price map that `price: from_price_map` uses.")
def prices() -> None:
    """The price map that `price: from_price_map` uses."""


@prices.command("import", short_help="Turn litellm's price map into ours.")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--config",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write DIR/prices.json, which the configuration in DIR uses. Without it, only say what there is.",
)
@click.option(
    "--only", metavar="PATTERN", multiple=True, help="Only models of these names; * stands for any characters."
)
def import_prices(file: Path, config: Path | None, only: tuple[str, ...]) -> None:
    """Turn litellm's price map (model_prices_and_context_window.json) into ours, and say what is left out.

    Kept are prices of tokens (input, cached input, output, reasoning) and of requests.

    Exit codes: 0 done; 1 an error, and nothing was written; 2 wrong usage.
    """
    from gateway.config import price_map
    from gateway.config.from_litellm.prices import translate
    from gateway.config.globs import compile_globs

    found = translate(read_text(file))
    glob = compile_globs(only)
    entries = {name: entry for name, entry in found.entries.items() if glob is None or glob.fullmatch(name)}
    if not entries:
        raise ConfigError(f"{file}: no model has a price that can be kept" + (" and such a name" if only else ""))
    for line in _report(len(entries), found.unpriced, found.left_out):
        click.echo(line)
    if config is not None:
        path = config / price_map.FILE
        _write(path, price_map.text(f"From {file.name}, by lockgate prices import", entries))
        click.echo(f"\nWritten to {path}. A model with `price: from_price_map` is looked up there by its served_model.")


def _report(kept: int, unpriced: Counter[str], left_out: Counter[str]) -> Iterator[str]:
    yield f"{kept} models with a price of tokens or requests"
    if unpriced:
        yield f"\n{unpriced.total()} models left out, since nothing of their price can be kept:"
        yield from _counted(unpriced)
    if left_out:
        yield "\nLeft out of the models that are kept (such use is charged by the prices of their tokens alone):"
        yield from _counted(left_out)


def _counted(reasons: Counter[str]) -> Iterator[str]:
    for reason, count in reasons.most_common(_MOST_REASONS):
        yield f"  {count:>5}  {reason}"
    if len(reasons) > _MOST_REASONS:
        yield f"         … and {len(reasons) - _MOST_REASONS} other kinds"


def _write(path: Path, text: str) -> None:
    """Replaces the file as a whole: a gateway may reload at any moment."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        partial.write_text(text)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot write this file: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
