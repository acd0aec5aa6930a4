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
from typing import Any

from gateway.backends.provider_extra import unwanted
from gateway.errors import ConfigError

_SWITCHES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches its price map on import
    "LITELLM_MODE": "PRODUCTION",  # else it reads a .env file of the working directory
    "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB": "0",  # it fetches no image a caller names
    "HF_HUB_OFFLINE": "1",
}


_streams: ContextVar[list[Any] | None] = ContextVar("streams", default=None)


def watch_streams() -> list[Any]:
    """A list that gets litellm's own stream of this call once it is made (the last one is it): what a caller of litellm
    gets may be wrapped in generators that hide how the provider's stream ended."""
    streams: list[Any] = []
    _streams.set(streams)
    return streams


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
    """Makes a class of streams tell `watch_streams` of each instance."""
    initialise = stream.__init__

    def initialise_and_tell(self: Any, *args: Any, **options: Any) -> None:
        initialise(self, *args, **options)
        streams = _streams.get()
        if streams is not None:
            streams.append(self)

    stream.__init__ = initialise_and_tell


def _never_redirected(client: Any) -> None:
    """Makes a class of httpx's clients take a redirect for an answer, whatever its user asked for: prompts and keys go
    where the configuration says."""
    send = client.send

    def send_there_only(self: Any, request: Any, **options: Any) -> Any:
        return send(self, request, **{**options, "follow_redirects": False})

    client.send = send_there_only


def check(litellm: Any, provider: str) -> None:
    """Raises ConfigError for a provider that litellm does not know."""
    known = sorted(str(getattr(each, "value", each)) for each in litellm.provider_list)
    if provider not in known:
        from gateway.config.shape import nearest

        raise ConfigError(f"litellm knows no provider {provider!r}; {nearest(provider, known)}")
