"""Keys and passwords by their form. The forms are those of detect-secrets (Apache-2.0) and of the issuers' own
documentation, written for an engine that streams; what has no prefix of its own must stand beside a word that says
what it is, and look random.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final

from guardrails.checks.patterned import PatternCheck, Rule

CHECK_NAME: Final = "secrets"
_LEAST_BITS: Final = 3.0
"""Of entropy for each character: words of a language have less."""

_IS_NAME: Final = re.compile(r"[A-Za-z_.:\[\]/-]+")
"""Words, variables and paths of code."""

_NAMED: Final = (
    r"(?i)(?:password|passwd|pwd|secret|api[_-]?key|apikey|access[_-]?key|auth[_-]?token|token|private[_-]?key|credentials?)"
    r"[\"']?\s{0,3}(?::=|=>|=|:)\s{0,3}[\"']?[^\s\"',;<>(){}\[\]]{8,200}"
)


def _random(match: str, _: str = "") -> bool:
    """Whether the value after the sign of an assignment is no word, no variable and no placeholder."""
    value = match.rstrip("\"'")
    for sign in ("=", ":", ">"):
        value = value.rpartition(sign)[2] or value
    value = value.strip(" \t\n\"'")
    if len(value) < 8 or _IS_NAME.fullmatch(value) or "..." in value or value[0] in "$%*{<":
        return False
    counts = Counter(value)
    bits = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    return bits >= min(_LEAST_BITS, math.log2(len(value)) - 0.5)


_BEGIN: Final = "-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_END: Final = r"(?![\w-])"
RULES: Final = (
    Rule("AWS_ACCESS_KEY", r"(?<![A-Za-z0-9])(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])"),
    Rule("GITHUB_TOKEN", rf"\b(?:gh[pousr]_[A-Za-z0-9]{{36,255}}|github_pat_[A-Za-z0-9_]{{60,255}}){_END}"),
    Rule("GITLAB_TOKEN", rf"\b(?:gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|oas|agent)-|GR1348941)[\w-]{{20,}}{_END}"),
    Rule("SLACK_TOKEN", rf"\bxox[abeoprs]-(?:\d+-)?[A-Za-z0-9-]{{10,}}{_END}"),
    Rule("SLACK_WEBHOOK", r"\bhttps://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}"),
    Rule("OPENAI_KEY", rf"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{{20,}}{_END}"),
    Rule("ANTHROPIC_KEY", rf"\bsk-ant-[A-Za-z0-9_-]{{20,}}{_END}"),
    Rule("HUGGINGFACE_TOKEN", rf"\b(?:hf|api_org)_[A-Za-z0-9]{{30,}}{_END}"),
    Rule("GOOGLE_API_KEY", rf"\bAIza[0-9A-Za-z_-]{{35}}{_END}"),
    Rule("GOOGLE_OAUTH", rf"\b(?:GOCSPX-[A-Za-z0-9_-]{{28}}|ya29\.[A-Za-z0-9_-]{{30,}}){_END}"),
    Rule("STRIPE_KEY", rf"\b[rs]k_(?:live|test)_[0-9a-zA-Z]{{20,}}{_END}"),
    Rule("SQUARE_KEY", rf"\bsq0(?:atp|csp|idp)-[0-9A-Za-z_-]{{22,43}}{_END}"),
    Rule("SENDGRID_KEY", rf"\bSG\.[A-Za-z0-9_-]{{22}}\.[A-Za-z0-9_-]{{43}}{_END}"),
    Rule("TWILIO_KEY", r"\b(?:AC|SK)[0-9a-f]{32}\b"),
    Rule("MAILCHIMP_KEY", r"\b[0-9a-f]{32}-us\d{1,2}\b"),
    Rule("NPM_TOKEN", rf"\bnpm_[A-Za-z0-9]{{36}}{_END}"),
    Rule("PYPI_TOKEN", rf"\bpypi-AgE[A-Za-z0-9_-]{{50,}}{_END}"),
    Rule("TELEGRAM_TOKEN", rf"\b\d{{8,10}}:[0-9A-Za-z_-]{{35}}{_END}"),
    Rule("DISCORD_TOKEN", rf"\b[MNO][A-Za-z\d_-]{{23,25}}\.[A-Za-z\d_-]{{6}}\.[A-Za-z\d_-]{{27,38}}{_END}"),
    Rule("AZURE_STORAGE_KEY", r"\bAccountKey=[a-zA-Z0-9+/]{86}=="),
    Rule("DIGITALOCEAN_TOKEN", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    Rule("VAULT_TOKEN", rf"\bhv[sbr]\.[A-Za-z0-9_-]{{24,}}{_END}"),
    Rule("LOCKGATE_KEY", rf"\blga?-[A-Za-z0-9_-]{{43}}{_END}"),
    Rule("JWT", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{0,}"),
    Rule("PRIVATE_KEY", rf"{_BEGIN}[A-Za-z0-9+/=\s:,.()-]*{_BEGIN.replace('BEGIN', 'END')}"),
    Rule("PRIVATE_KEY", _BEGIN),
    Rule("URL_PASSWORD", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"'<>{}]{1,64}:[^\s:/@\"'<>{}]{3,128}@", 0.9),
    Rule("NAMED_SECRET", _NAMED, 0.7, _random),
)  # fmt: skip


def secrets() -> PatternCheck:
    """The check."""
    return PatternCheck(CHECK_NAME, RULES)
