"""The errors as a table: what each says by its class alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway import errors
from gateway.errors import CallerError, ConfigError, GatewayError, UpstreamError, UpstreamRejected


def _all(base: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """`base` and what is below it in the module of errors; other tests may have loaded more of them."""
    yield base
    for below in base.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _all(below)


ALL = sorted(set(_all(GatewayError)), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_says_what_it_is_for(kind: type[GatewayError]) -> None:
    assert kind.__doc__
    assert 400 <= kind.status <= 599
    assert kind.code == kind.code.lower().replace("-", "_")


def test_a_code_belongs_to_one_error_so_that_a_label_says_which() -> None:
    codes: dict[str, set[type[GatewayError]]] = {}
    for kind in ALL:
        codes.setdefault(kind.code, set()).add(kind)
    shared = {code: kinds for code, kinds in codes.items() if len(kinds) > 1}
    # A base and its plainest case: never raised beside one another.
    assert shared == {
        "invalid_request": {CallerError, errors.InvalidRequest},
        "internal": {GatewayError, errors.Internal},
    }


@pytest.mark.parametrize("kind", sorted(set(_all(CallerError)), key=str), ids=lambda kind: kind.__name__)
def test_what_the_caller_must_change_is_a_4xx_and_only_a_slow_request_is_worth_sending_again(
    kind: type[GatewayError],
) -> None:
    assert 400 <= kind.status < 500
    assert kind.retryable is (kind is errors.SlowRequest)


@pytest.mark.parametrize("kind", sorted(set(_all(UpstreamError)), key=str), ids=lambda kind: kind.__name__)
def test_what_a_backend_did_is_a_5xx_and_worth_sending_again(kind: type[GatewayError]) -> None:
    assert kind.status in {502, 503, 504}
    assert kind.retryable


def test_an_error_carries_its_message_its_field_and_its_headers() -> None:
    error = errors.InvalidRequest("n must be a number", param="n", headers=(("x-a", "b"),))
    assert (str(error), error.message, error.param, error.headers) == (
        "n must be a number",
        "n must be a number",
        "n",
        (("x-a", "b"),),
    )


def test_a_rejection_keeps_the_backends_answer_and_does_not_repeat_it_in_its_message() -> None:
    error = UpstreamRejected(422, b"application/json", b'{"error": "a secret prompt"}')
    assert (error.sent_status, error.content_type, error.body) == (
        422,
        b"application/json",
        b'{"error": "a secret prompt"}',
    )
    assert "secret" not in str(error)


def test_a_configuration_that_cannot_run_is_no_answer_to_a_caller() -> None:
    assert not issubclass(ConfigError, GatewayError)
