"""Every error a caller or an operator can see.

One class per different action by the caller or by us. Each class fixes `status` (HTTP), `type` (OpenAI's word),
`code` (a closed set: also the metric label) and `retryable` (would the same request, sent again, have a chance?).
`gateway.wire.errors` alone turns one into bytes. Messages are written for the person who must act and never hold a
prompt, an answer or a secret.
"""

from __future__ import annotations

from typing import ClassVar


class GatewayError(Exception):
    """Base of all; `headers` are added to the answer (lower-case names)."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = headers


class CallerError(GatewayError):
    """The caller must change the request."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class InvalidRequest(CallerError):
    """The body or a header is not what the endpoint takes; `param` names the field."""


class InvalidRow(CallerError):
    """A row breaks the schema of a classic model: column (`param`), row and rule are named, never the value."""

    code = "invalid_row"


class ContentFiltered(CallerError):
    """A check blocked the input: the check, its code and the place are named, never the text."""

    code = "content_filter"


class Unauthenticated(CallerError):
    """No key, or one that is not (or no longer) valid: one message for all, so that nothing can be probed."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class ModelNotFound(CallerError):
    """The model does not exist, or the caller may not use it: deliberately the same answer."""

    status = 404
    code = "model_not_found"


class UnknownPath(CallerError):
    """No endpoint at this path."""

    status = 404
    code = "unknown_path"


class MethodNotAllowed(CallerError):
    """The path exists, the method does not; an `allow` header says which do."""

    status = 405
    code = "method_not_allowed"


class ProjectNotAllowed(CallerError):
    """The header names a project that the key may not book to, or none where the key has several to choose from."""

    status = 403
    code = "project_not_allowed"


class SlowRequest(CallerError):
    """The request did not arrive within `limits.request_s`; the connection closes."""

    status = 408
    code = "request_timeout"
    retryable = True


class BodyTooLarge(CallerError):
    """The body is larger than `limits.body`."""

    status = 413
    code = "body_too_large"


class HeadersTooLarge(CallerError):
    """The request line and headers are larger than `limits.header` (RFC 6585 §5)."""

    status = 431
    code = "headers_too_large"


class MeterError(GatewayError):
    """The meters do not let the call through; nothing was sent to a backend."""

    status = 429
    type = "rate_limit_error"
    code = "meter"


class RateLimited(MeterError):
    """A limit that frees itself: requests, tokens or money of a rolling window, or calls at a time. `retry-after` says
    when."""

    code = "rate_limit_exceeded"
    retryable = True


class BudgetExhausted(MeterError):
    """A budget or a limit of a calendar window, or one without end: sending again does not help."""

    type = "insufficient_quota"
    code = "insufficient_quota"


class NotPriced(MeterError):
    """The configuration counts money and the model has no price: its operator must give it one, or `price: free`."""

    status = 402
    type = "invalid_request_error"
    code = "model_not_priced"


class MetersUnavailable(MeterError):
    """The store of the meters does not answer, and what this worker may spend without asking it is used up."""

    status = 503
    type = "server_error"
    code = "meters_unavailable"
    retryable = True


class UpstreamError(GatewayError):
    """The caller did nothing wrong: a backend did not answer as it should."""

    status = 502
    type = "upstream_error"
    code = "upstream_error"
    retryable = True


class NoEndpoint(UpstreamError):
    """No endpoint of the model's backends is in service."""

    status = 503
    code = "no_endpoint"


class ConnectFailed(UpstreamError):
    """The endpoint refused the connection, or it was lost before the answer began."""

    code = "connect_failed"


class UpstreamTimeout(UpstreamError):
    """The endpoint did not answer within connect_s, first_byte_s, idle_s or total_s."""

    status = 504
    code = "upstream_timeout"


class UpstreamProtocol(UpstreamError):
    """What the endpoint sent is not a valid answer."""

    code = "upstream_protocol"


class UpstreamFailed(UpstreamError):
    """The endpoint answered 5xx, or refused our credentials or our model name: not the caller's doing."""

    code = "upstream_failed"


class UpstreamBusy(UpstreamError):
    """The endpoint answered 429 or 503: full at the moment."""

    status = 503
    code = "upstream_busy"


class StreamBroken(UpstreamError):
    """The endpoint broke off a stream after its first byte: told in band."""

    code = "stream_broken"


class NotServed(CallerError):
    """The model's backend has no such endpoint, or does not know the model: 404, 405, 501."""

    code = "not_served"


class UpstreamRejected(GatewayError):
    """The endpoint refused the request for a reason that is the caller's: its own status and body are passed on as
    sent.
    """

    status = 400
    type = "invalid_request_error"
    code = "upstream_rejected"

    def __init__(self, status: int, content_type: bytes, body: bytes) -> None:
        super().__init__(f"the backend refused the request with status {status}")
        self.sent_status = status
        self.content_type = content_type
        self.body = body


class ModelFailed(GatewayError):
    """A model that runs in this process raised on this request: the operator looks at the model."""

    code = "model_failed"


class CheckFailed(GatewayError):
    """A check could not judge the input, and its chain says that nothing passes then."""

    status = 503
    type = "server_error"
    code = "check_failed"
    retryable = True


class StoreUnavailable(GatewayError):
    """A store we must write to before serving (the journal) cannot take more."""

    status = 503
    code = "store_unavailable"
    retryable = True


class Draining(GatewayError):
    """This process is stopping and takes no new request; another one will."""

    status = 503
    code = "draining"
    retryable = True


class Internal(GatewayError):
    """Our bug: traced in the log under the request's id, not shown."""


class ConfigError(Exception):
    """The configuration cannot run: at start or reload only. The message names file, path, what is allowed, nearest
    known key.
    """
