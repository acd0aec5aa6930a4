"""The labelled texts: those of the files a manifest names, and those this project made itself."""

from __future__ import annotations

import json
import re
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from guardrails.training.grammar import Grammar, parse

FOLDER: Final = Path(__file__).parent
_TEMPLATE_MARKS: Final = re.compile(r"\{%\s*(?:end)?raw\s*%\}")
_FILLED_IN: Final = re.compile(r"(?:Tell me )?how to pick a lock\.?")
"""The one goal that all of one source's templates were filled with: it would be learnt as the sign of an attack."""

# Attacks that only the system prompt beside them makes one ("What is the capital of Peru?" where only cooking is to be
# talked of): nothing in the text tells them from an honest question.
_UNSEEN: Final = {
    *("different_user_input_language", "indirect_reference", "hypothetical_scenario", "overload_with_information"),
    *("token_smuggling", "many_shot_attack", "repeated_token_attack", "payload_splitting", "virtualization"),
    "output_formatting_manipulation",
}


class Text(NamedTuple):
    """A text with its label (1: bad), its source, the kind of text, and what it may not be split from."""

    text: str
    label: int
    source: str
    kind: str
    group: str = ""


def manifest() -> dict[str, Any]:
    """What `manifest.toml` says."""
    return tomllib.loads((FOLDER / "manifest.toml").read_text("utf-8"))


def grammars() -> dict[str, Grammar]:
    """The templates of `texts/`, by file."""
    return {path.stem: parse(path.read_text("utf-8")) for path in sorted((FOLDER / "texts").glob("*.txt"))}


def rows(data: Path, path: str) -> list[dict[str, Any]]:
    """The rows of a file of the manifest. Raises ValueError where it is not the file that the manifest means."""
    content = (data / path).read_bytes()
    wanted = next(file["sha256"] for file in manifest()["file"] if file["path"] == path)
    if sha256(content).hexdigest() != wanted:
        raise ValueError(f"{path} is not the file that manifest.toml names: its SHA-256 differs")
    return [json.loads(line) for line in content.splitlines()]


def injection(data: Path) -> list[Text]:
    """Attacks, ordinary prompts and documents, and what else people write that is no attack."""
    texts = [_injection(row) for row in rows(data, "guardrails/injection_dev.jsonl")]
    texts += [
        Text(row["text"], 0, "presidio-research", "other", f"pii:{row['template_id']}")
        for row in rows(data, "guardrails/pii_dev.jsonl")[::4]
    ]
    texts += [Text(text.text, 0, text.source, "other") for text in toxicity(data)[::2]]
    return texts


def _injection(row: dict[str, Any]) -> Text:
    text = _FILLED_IN.sub("", _TEMPLATE_MARKS.sub("", row["text"])).replace("{generator.name}", "ChatGPT")
    kind = "jailbreak" if row["label"] else "ordinary"
    if row["source"] == "cyberseceval-pi":
        kind = "hidden" if row["kind"] == "indirect" else "unseen" if row["variant"] in _UNSEEN else "direct"
    elif row.get("context_role"):
        kind = "document"
    return Text(text, row["label"], row["source"], kind)


def toxicity(data: Path) -> list[Text]:
    """Comments and statements about groups of people."""
    return [
        Text(row["text"], row["label"], row["source"], "comment") for row in rows(data, "guardrails/toxicity_dev.jsonl")
    ]
