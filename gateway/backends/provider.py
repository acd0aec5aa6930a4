"""An outside provider beside the gateway: a process that speaks OpenAI's API on a socket and asks the provider through
litellm.

A process of its own because litellm takes seconds to import and hundreds of megabytes, and because what it costs and
how it fails then stays out of the data plane. This module is its command line; the app is
`gateway.backends.provider_server`.
"""

from __future__ import annotations

import argparse
import os
import sys

import msgspec

from gateway.backends import provider_extra, provider_litellm, serving
from gateway.backends.provider_server import KeyUnreadable, Provider, key_reader
from gateway.config import model, units
from gateway.errors import ConfigError


def main(arguments: list[str] | None = None) -> None:
    """Serves until SIGTERM or SIGINT, or until the parent ends; exit code 1 and a message when it cannot."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.backends.provider",
        description=f"Asks an outside provider. Its configuration is JSON in the variable {provider_extra.VARIABLE}.",
    )
    serving.add_address_options(parser)
    args = parser.parse_args(arguments)
    try:
        app = _app(os.environ.pop(provider_extra.VARIABLE, ""))
    except (ConfigError, KeyUnreadable, ValueError) as error:
        sys.exit(str(error))
    serving.run(app, args)


def _app(written: str) -> Provider:
    try:
        backend = msgspec.json.decode(written, type=model.Provider)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{provider_extra.VARIABLE} holds no configuration of a provider: {error}") from None
    lacking = provider_extra.missing()
    if lacking is not None:
        raise ConfigError(lacking)
    # Before litellm is loaded, which takes the keys out of the environment.
    api_key = None if backend.api_key is None else units.resolve_env(backend.api_key, os.environ)
    api_base = None if backend.api_base is None else units.resolve_env(backend.api_base, os.environ)
    key = key_reader(api_key, backend.api_key_file)
    key()  # one that cannot be read should be told now, and not to the first caller
    litellm = provider_litellm.load()
    provider_litellm.check(litellm, backend.provider)
    return Provider(litellm, backend.provider, api_base, key)


if __name__ == "__main__":
    main()
