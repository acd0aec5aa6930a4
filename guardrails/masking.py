"""Masks that can be undone: a placeholder for each value, the same within a conversation of a tenant and unlinkable
outside it, and the values again where an answer names their placeholders.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from guardrails.verdict import Action

_DIGITS: Final = 10
_LONGEST: Final = 110
_PLACEHOLDER: Final = re.compile(r"\[[A-Z][A-Z0-9_]{0,40}_[0-9a-f]{10,64}\]")
_MAY_BECOME_ONE: Final = re.compile(r"\[(?:[A-Z][A-Z0-9_]*+(?:[0-9a-f]*+)?)?\Z")


class Vault:
    """The values that were masked in one conversation of one tenant. Lives in memory; what keeps it longer encrypts
    it.
    """

    __slots__ = ("_key", "_placeholders", "_values")

    def __init__(self, secret: bytes, tenant: str, conversation: str, values: Mapping[str, str] | None = None) -> None:
        """`secret` is the gateway's own; `values` are those of an earlier `values`. Raises ValueError for a weak
        secret.
        """
        if len(secret) < 32:
            raise ValueError(f"a secret of {len(secret)} bytes can be guessed; 32 random ones are needed")
        scope = f"{len(tenant)}:{tenant}{conversation}".encode("utf-8", "surrogatepass")
        self._key: Final = hmac.digest(secret, scope, hashlib.sha256)
        self._values: Final = dict(values or {})
        self._placeholders: Final = {value: placeholder for placeholder, value in self._values.items()}

    @property
    def values(self) -> Mapping[str, str]:
        """Each placeholder's value."""
        return self._values

    def mask(self, action: Action, code: str, part: str) -> str:
        """For a `Screen`: a placeholder where the mask is reversible, else only what it hides."""
        return self.placeholder(code, part) if action is Action.MASK_REVERSIBLE else f"[{code}]"

    def placeholder(self, code: str, value: str) -> str:
        """What stands for a value: `[EMAIL_ADDRESS_3f9a0c71d2]`. A value keeps the first code it was found by."""
        known = self._placeholders.get(value)
        if known is not None:
            return known
        digest = hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        name = re.sub("[^A-Z0-9_]", "_", code.upper())[:40]
        for digits in range(_DIGITS, len(digest) + 1):
            made = f"[{name}_{digest[:digits]}]"
            if made not in self._values:
                break
        else:
            raise ValueError("two values with one SHA-256")
        self._values[made] = value
        self._placeholders[value] = made
        return made

    def restored(self, text: str) -> str:
        """A whole text with the values for their placeholders."""
        return _PLACEHOLDER.sub(lambda match: self._values.get(match[0], match[0]), text)

    def hidden(self, text: str) -> str:
        """The other way round: placeholders for all values that a whole text names, wherever it has them from."""
        if not self._placeholders:
            return text
        longest_first = sorted(self._placeholders, key=len, reverse=True)
        named = re.compile("|".join(map(re.escape, longest_first)))
        return named.sub(lambda match: self._placeholders[match[0]], text)


class Masking:
    """A text with placeholders for values. It comes whole, at its end: a value may be in any part of it."""

    __slots__ = ("_held", "_vault")

    def __init__(self, vault: Vault) -> None:
        self._vault: Final = vault
        self._held: list[str] = []

    def feed(self, text: str) -> str:
        self._held.append(text)
        return ""

    def finish(self) -> str:
        return self._vault.hidden("".join(self._held))


class Restoring:
    """A text with values for placeholders, as it streams: only what may be the beginning of a placeholder is held
    back, 110 characters at most.
    """

    __slots__ = ("_held", "_vault")

    def __init__(self, vault: Vault) -> None:
        self._vault: Final = vault
        self._held = ""

    def feed(self, text: str) -> str:
        text = self._held + text
        open_at = text.rfind("[")
        holds = open_at >= 0 and len(text) - open_at <= _LONGEST and _MAY_BECOME_ONE.match(text, open_at) is not None
        at = open_at if holds else len(text)
        self._held = text[at:]
        return self._vault.restored(text[:at])

    def finish(self) -> str:
        held, self._held = self._held, ""
        return held
