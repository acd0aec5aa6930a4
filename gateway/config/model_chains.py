"""The sections about guardrails: chains of checks, and the webhooks that checks ask.

What an entry of a chain may say is the business of `guardrails.settings`; here it is plain data, which is archived and
compared as it was written.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from gateway.config.leaves import Name, Secret, Section, Webhook, unit

Entry: TypeAlias = Annotated[dict[str, Any], unit("plain", "a map: a check with its phase, action and settings")]
"""One check of a chain: text, numbers, lists and maps, the keys of maps sorted."""

Chains: TypeAlias = dict[Name, Annotated[tuple[Entry, ...], unit("list", "a list of checks")]]
"""Entries by the chain's name."""


class WebhookTarget(Section, frozen=True, kw_only=True):
    """Somebody else's check, asked over HTTP: a `webhook` check names it as its `target`."""

    url: Webhook
    """Where the text is posted, to be answered with a score. May hold `${NAME}`."""
    secret: Secret
    """What the call is signed with. Write `${NAME}`: it is then read from the environment and never stored."""

    def __repr__(self) -> str:
        return "WebhookTarget(url='…', secret='…')"
