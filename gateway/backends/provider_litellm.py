"""The one place that imports litellm, and everything about it that is set: nothing it does of itself stays on.

Only the child process of a `kind: provider` backend comes here.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from gateway.backends.provider_extra import unwanted
from gateway.errors import ConfigError

_SWITCHES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches its price map on import
    "LITELLM_MODE": "PRODUCTION",  # else it reads a .env file of the working directory
    "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB": "0",  # it fetches no image a caller names
    "HF_HUB_OFFLINE": "1",
}


@dataclass(slots=True)
class Watch:
    """What one call to litellm did: whether anything was sent, and litellm's own stream of the answer (what its callers
    get may be wrapped in generators that hide how the provider's stream ended)."""

    sent: bool = False
    stream: Any = None


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


def watch() -> Watch:
    """Watches the calls of this context from now on."""
    watching = Watch()
    _watch.set(watching)
    return watching


def load(environ: MutableMapping[str, str] = os.environ) -> Any:
    """The module `litellm`, told to ask providers and do nothing else: no telemetry, callbacks, downloads, retries,
    logs or printing. Takes seconds; changes `environ` before."""
    for name in unwanted(environ):
        del environ[name]
    environ.update(_SWITCHES)
    # What libraries log, print as a warning or leave to asyncio's handler can hold prompts and keys. What an operator
    # needs to know, the child says itself.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")

    import httpx
    import litellm
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    litellm.telemetry = False
    litellm.callbacks = []
    litellm.success_callback = []
    litellm.failure_callback = []
    litellm.turn_off_message_logging = True
    litellm.suppress_debug_info = True
    litellm.disable_token_counter = True  # usage is what the provider states, or unknown
    litellm.disable_hf_tokenizer_download = True
    litellm.disable_aiohttp_transport = True  # httpx alone closes a connection at once when its request is cancelled
    litellm.drop_params = False
    litellm.modify_params = False
    litellm.num_retries = 0

    _watched(litellm.CustomStreamWrapper)
    for client in (httpx.AsyncClient, httpx.Client):
        _never_redirected(client)

    async def no_second_try(*_: object, **__: object) -> Any:
        """Called by litellm's client inside `except`, to send a request again that may have been answered already."""
        error = sys.exception()
        assert error is not None
        raise error

    AsyncHTTPHandler.single_connection_post_request = no_second_try
    return litellm


def _watched(stream: Any) -> None:
    """Makes a class of streams tell who watches of each instance: the last one of a call is the answer's."""
    initialise = stream.__init__

    def initialise_and_tell(self: Any, *args: Any, **options: Any) -> None:
        initialise(self, *args, **options)
        watching = _watch.get()
        if watching is not None:
            watching.stream = self

    stream.__init__ = initialise_and_tell


def _never_redirected(client: Any) -> None:
    """Makes a class of httpx's clients take a redirect for an answer, whatever its user asked for (prompts and keys go
    where the configuration says), and tell who watches that something is sent."""
    send = client.send

    def send_there_only(self: Any, request: Any, **options: Any) -> Any:
        watching = _watch.get()
        if watching is not None:
            watching.sent = True
        return send(self, request, **{**options, "follow_redirects": False})

    client.send = send_there_only


def check(litellm: Any, provider: str) -> None:
    """Raises ConfigError for a provider that litellm does not know."""
    known = sorted(str(getattr(each, "value", each)) for each in litellm.provider_list)
    if provider not in known:
        from gateway.config.shape import nearest

        raise ConfigError(f"litellm knows no provider {provider!r}; {nearest(provider, known)}")
