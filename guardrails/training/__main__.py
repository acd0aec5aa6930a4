"""`python -m guardrails.training NAME`: fits a classifier to the data of LOCKGATE_DEV_DATA and writes its files."""

from __future__ import annotations

import os
import sys
from array import array
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Final
from zlib import crc32

import click
import numpy as np

from guardrails.classifiers import features, model
from guardrails.training import runs, sources

FOLDER: Final = Path(model.__file__).parent
_BOUNDS: Final = (-2.6, -1.7, -0.2, 0.2, 1.7)
"""Between the classes of valence; words between the third and the fourth have none."""


@click.command()
@click.argument("name", type=click.Choice(model.NAMES))
def main(name: str) -> None:
    """Write the weights of the classifier NAME, and the figures of its card."""
    data = os.environ.get("LOCKGATE_DEV_DATA")
    if not data:
        sys.exit("LOCKGATE_DEV_DATA must name the folder that holds the files of manifest.toml")
    hashed = _valences() if name == "toxicity" else None
    lines = (FOLDER / f"{name}.lexicon").read_text("utf-8").splitlines()
    reader = features.Reader(features.Lexicon(lines, hashed))
    fitted = (runs.toxicity if hashed else runs.injection)(Path(data), reader)
    scale = float(np.abs(fitted.table).max()) / 32_767
    table = array("h", np.round(fitted.table / scale).astype(np.int16).tolist())
    content = model.pack(model.Header(scale, fitted.bias, fitted.length, hashed is not None), table)
    (FOLDER / f"{name}.weights").write_bytes(content)
    digest = sha256(content).hexdigest()
    card = FOLDER / f"{name}.md"
    card.write_text(filled(card.read_text("utf-8"), fitted.figures, digest), "utf-8")
    click.echo(f"{name}: {len(content)} bytes, SHA-256 {digest}")
    click.echo("\n".join(fitted.figures))


def filled(card: str, figures: list[str], digest: str) -> str:
    """A card with these figures under its heading `Figures`, and the SHA-256 of the weights in its last line."""
    before, _, rest = card.partition("## Figures\n")
    after = rest[rest.index("\n## ") :]
    kept, _, _ = after.rpartition("Weights: SHA-256")
    return "\n".join((f"{before}## Figures\n", *figures, "")) + f"{kept}Weights: SHA-256 `{digest}`\n"


def _valences() -> dict[int, int]:
    """Words' classes of valence, which are also written beside the weights."""
    source = sources.manifest()["valence"]
    content = resources.files(source["package"]).joinpath(source["path"]).read_bytes()
    if sha256(content).hexdigest() != source["sha256"]:
        sys.exit("the valence list is not the one that manifest.toml names: its SHA-256 differs")
    found = valences(content.decode("utf-8"))
    made = b"".join(word.to_bytes(4, "little") + bytes([concept]) for word, concept in sorted(found.items()))
    (FOLDER / "toxicity.valence").write_bytes(made)
    return found


def valences(listed: str) -> dict[int, int]:
    """Classes of valence (0 the worst, 4 the best) by CRC-32 of the word, from lines of a word and a number."""
    found: dict[int, int] = {}
    for line in listed.splitlines():
        word, value, *_ = line.split("\t")
        bin_ = int(np.digitize(float(value), _BOUNDS))
        if word.isalpha() and bin_ != 3:
            found[crc32(features.fold(word).encode())] = bin_ - (bin_ > 3)
    return found


if __name__ == "__main__":
    main()
