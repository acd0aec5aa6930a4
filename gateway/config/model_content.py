"""Whether what is said is kept: part of a tenant's section. What is kept, and how, is in `store.content`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gateway.config.leaves import Secret, Section, unit


class Content(Section, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is kept of requests and answers beside their records. Nothing is, of a tenant without this."""

    record: Annotated[Literal["masked", "full"], unit("text", "masked or full")]
    """`masked`: the request as a backend was asked, and the answer before masked values were put back; every chain of
    the tenant's has to mask what callers say. `full`: both as the caller sent and got them."""
    retention_days: Annotated[int, Meta(ge=1, le=3_650), unit("number", "a whole number of days from 1 to 3650")] = 30
    """How many days it is kept; the record stays as long as it would."""
    key: Secret | None = None
    """What the keys of this tenant's content are encrypted with: `${NAME}`, at least 32 random characters, never
    stored. A secret of the state directory when left out."""

    def __repr__(self) -> str:
        return f"Content(record={self.record!r}, retention_days={self.retention_days})"
