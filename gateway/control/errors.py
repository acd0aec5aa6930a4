"""What a caller of the administration can be told: one class per different action of theirs.

`code` is a closed set; messages are for the person who must act and hold no secret. `details` stand beside the message
in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final


class AdminError(Exception):
    """Base of all."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The answer's body."""
        return {"error": {"code": self.code, "message": self.message, "param": self.param, **self.details}}


class Invalid(AdminError):
    """The body, a parameter or a header is not what is taken; `param` names it."""

    status = 400
    code = "invalid_request"


class TokenInUrl(AdminError):
    """A token stands in the URL, where logs and histories keep it: it must be replaced."""

    status = 400
    code = "token_in_url"


class Unauthenticated(AdminError):
    """No token, or one that is not (or no longer) valid."""

    status = 401
    code = "invalid_token"


class Forbidden(AdminError):
    """The principal has no role that allows this."""

    status = 403
    code = "forbidden"


class NotFound(AdminError):
    """There is no such thing."""

    status = 404
    code = "not_found"


class UnknownPath(AdminError):
    """No route at this path."""

    status = 404
    code = "unknown_path"


class MethodNotAllowed(AdminError):
    """The path has other methods."""

    status = 405
    code = "method_not_allowed"


class Exists(AdminError):
    """Something of that name is there already."""

    status = 409
    code = "exists"


class NameUsed(AdminError):
    """A key of that name was revoked: records name it, so another cannot have its name."""

    status = 409
    code = "name_used"


class Conflict(AdminError):
    """It has changed since it was read: `yours` and `current` are the versions."""

    status = 409
    code = "conflict"


class DeclaredInFiles(AdminError):
    """It stands in the configuration's files, and is changed there."""

    status = 409
    code = "declared_in_files"


class InUse(AdminError):
    """Other entries refer to it."""

    status = 409
    code = "in_use"


class Ambiguous(AdminError):
    """Several meters are meant: name one."""

    status = 409
    code = "ambiguous"


class LastOwner(AdminError):
    """No owner would be left in the control store."""

    status = 409
    code = "last_owner"


class TooLarge(AdminError):
    """The body is too large."""

    status = 413
    code = "body_too_large"


class KeyReused(AdminError):
    """The idempotency key was used for another request."""

    status = 422
    code = "idempotency_key_reused"


class TooManyFailures(AdminError):
    """Too many wrong tokens came from this address; `retry-after` says when it is listened to again."""

    status = 429
    code = "too_many_failures"


class Unavailable(AdminError):
    """The control store, the files or the gateway cannot be asked now."""

    status = 503
    code = "unavailable"


class Internal(AdminError):
    """Our bug: traced in the log under the request's id, not shown."""


EVERY: Final[tuple[type[AdminError], ...]] = tuple(sorted(AdminError.__subclasses__(), key=lambda each: each.status))
"""All of them, by status."""
