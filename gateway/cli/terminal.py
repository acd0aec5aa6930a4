"""Texts of callers and agents in a terminal: they cannot write over it, colour it or turn it around."""

from __future__ import annotations


def visible(text: str, keeps: str = "") -> str:
    """Without what would move a terminal's cursor or change how it writes, but for the characters in `keeps`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keeps else "\ufffd" for each in text)
