"""Which of a tenant's projects a request is booked to: what its header names, else the only one its key has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.config.snapshot_callers import Caller
from gateway.errors import ProjectNotAllowed
from gateway.wire.body import shown

HEADER: Final = b"x-lockgate-project"
OPENAI_HEADER: Final = b"openai-project"
"""OpenAI's clients send it wherever they are set to one of OpenAI's projects: of a tenant without projects it means
nothing.
"""


def of(caller: Caller, headers: Mapping[bytes, bytes]) -> str:
    """The project's name; "" for none. Raises ProjectNotAllowed."""
    if not caller.tenant.projects and HEADER not in headers:
        return ""
    named = headers.get(HEADER)
    if named is None:
        named = headers.get(OPENAI_HEADER)
    projects = caller.projects
    if named is None:
        if len(projects) > 1:
            raise ProjectNotAllowed(
                f"this key books to several projects: name one of {', '.join(projects)} in the header {HEADER.decode()}"
            )
        return projects[0] if projects else ""
    name = named.decode("utf-8", "replace")
    if name not in projects:
        allowed = f"it may book to {', '.join(projects)}" if projects else "it has no projects: leave the header out"
        raise ProjectNotAllowed(f"this key may not book to a project {shown(name)}; {allowed}")
    return name
