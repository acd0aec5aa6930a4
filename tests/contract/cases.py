"""What clients do, one case each, with the official openai package: the same cases for any server at any address.

A case takes a client and says what came back as plain data; it judges nothing. Tests compare: a server asked directly
and through the gateway, and one major version of the package with another. Hence no pytest here, and

    python -m tests.contract.cases '{"base_url": …, "key": …, "model": …}' [CASE…]

runs all of them, or those named, under any Python that has openai, and prints `{case: result}` as JSON.
"""

from __future__ import annotations

import json
import sys

from tests.contract import chat_cases, other_cases, responses_cases
from tests.contract.asking import CASES, CHAT, EMBED, OWN, RANK, RESPONSES, TEXT, Target, run

__all__ = [
    "CASES",
    "CHAT",
    "EMBED",
    "OWN",
    "RANK",
    "RESPONSES",
    "TEXT",
    "Target",
    "chat_cases",
    "other_cases",
    "responses_cases",
    "run",
]

if __name__ == "__main__":
    at = Target(**json.loads(sys.argv[1]))
    print(json.dumps({name: run(name, at) for name in sys.argv[2:] or CASES}))
