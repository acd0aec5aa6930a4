"""How commands reach the administration: over HTTP where `--url` says so, else in this process, on the control store of
a state directory. Both run the same routes, so an answer is the same; commands say which was used.

Who is on the machine and may read the state directory needs no token: there they are the principal `local`.
"""

from __future__ import annotations

import asyncio
import functools
import getpass
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

import click
from click.core import ParameterSource

from gateway.cli import places

if TYPE_CHECKING:
    from gateway.control.door import App
    from gateway.runtime.administering import Opened

PATIENCE_S = 30.0
URL_VARIABLE = "LOCKGATE_ADMIN_URL"
TOKEN_VARIABLE = "LOCKGATE_ADMIN_TOKEN"

_PLACES = ("url", "state_dir", "config")

_F = TypeVar("_F", bound=Callable[..., Any])
Json = Any


class Sender(Protocol):
    """One way to the administration."""

    where: str
    """What a command says it was done on."""

    def send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """(status, body) of the answer; click.ClickException when there is none."""
        ...


class Client:
    """Asks, and turns a refusal into a message and exit code 1."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self.where = sender.where
        self.local = sender if isinstance(sender, Local) else None

    def get(self, *path: str, **query: object) -> Json:
        """What stands at the path; query parameters that are None are left out."""
        return self.call("GET", path, query)

    def call(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, object] | None = None,
        body: Json = None,
        reason: str | None = None,
        version: int | None = None,
    ) -> Json:
        """One request. `path`: its parts behind /admin, as they are."""
        target = "/admin/" + "/".join(quote(part, safe="") for part in path)
        given = [(name, _word(each)) for name, value in (query or {}).items() for each in _several(value)]
        headers = {} if version is None else {"if-match": f'"{version}"'}
        if reason:
            headers["x-lockgate-reason"] = reason.encode().decode("latin-1")  # how bytes travel in a header
        raw = b"" if body is None else json.dumps(body).encode()
        status, answer = self._sender.send(method, target + (f"?{urlencode(given)}" if given else ""), raw, headers)
        try:
            found = json.loads(answer)
        except ValueError:
            raise click.ClickException(f"{self.where} gave no answer of Lockgate's (status {status})") from None
        if status >= 300:
            raise click.ClickException(_refusal(found, status))
        return found

    def pages(self, *path: str, limit: int, **query: object) -> tuple[list[Json], bool]:
        """The first `limit` items of a list, and whether there are more."""
        items: list[Json] = []
        after: object = None
        while len(items) < limit:
            page = self.get(*path, limit=min(1000, limit - len(items)), after=after, **query)
            items += page["items"]
            after = page["next"]
            if after is None:
                return items, False
        return items, True


def options(command: _F) -> _F:
    """Adds `--url`, `--token`, `--state-dir` and `--config`; the function gets a `client`."""

    @functools.wraps(command)
    def with_client(
        url: str | None, token: str | None, state_dir: Path | None, config: Path | None, **given: Any
    ) -> Any:
        context = click.get_current_context()
        sender = _chosen(url, token, state_dir, config, context)
        return command(client=Client(sender), **given)

    wrapped = places.options(with_client)
    wrapped = click.option(
        "--token", metavar="TOKEN", envvar=TOKEN_VARIABLE, help=f"Your token, for --url; best as {TOKEN_VARIABLE}."
    )(wrapped)
    return click.option(
        "--url",
        metavar="URL",
        envvar=URL_VARIABLE,
        help=f"The control listener to ask, http://HOST:PORT; also as {URL_VARIABLE}.  "
        "[default: the state directory on this machine]",
    )(wrapped)  # type: ignore[return-value]  # click's decorators keep what they decorate callable


def changing(command: _F) -> _F:
    """The same, and `--reason` for the change log."""
    return click.option("--reason", metavar="TEXT", help="Why; it is kept in the change log.")(options(command))


def _chosen(
    url: str | None, token: str | None, state_dir: Path | None, config: Path | None, context: click.Context
) -> Sender:
    if url is not None and _is_meant(context):
        if not token:
            raise click.UsageError(f"--url needs a token: set {TOKEN_VARIABLE}, or give --token")
        return Remote(url, token)
    local = Local(places.state_dir_of(state_dir, config), config)
    context.call_on_close(local.close)
    return local


def _is_meant(context: click.Context) -> bool:
    """Whether the URL is what is meant: what is typed counts more than what the environment says."""
    typed = {name for name in _PLACES if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if "url" in typed and len(typed) > 1:
        raise click.UsageError("--url is another gateway's; --state-dir and --config are of this machine: name one")
    return typed <= {"url"}


class Remote:
    """Over HTTP."""

    def __init__(self, url: str, token: str) -> None:
        from gateway.config import units

        self.where = url.rstrip("/").removesuffix("/admin")
        if not self.where.startswith(("http://", "https://")):
            raise click.UsageError(f"--url is http://HOST:PORT or https://HOST, not {units.shown(url)}")
        if units.leaves_in_clear(self.where):
            click.echo("Warning: the token leaves this machine unencrypted; use https://", err=True)
        self._token = token
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """See `Sender`."""
        request = urllib.request.Request(self.where + target, body or None, method=method)
        for name, value in headers.items():
            request.add_header(name, value)
        request.add_header("content-type", "application/json")
        try:
            request.add_header("authorization", f"Bearer {self._token}")
            with self._opener.open(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise click.ClickException(f"cannot ask {self.where}: {reason}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the token elsewhere."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


class Local:
    """In this process, on the stores of a state directory."""

    def __init__(self, where: Path, config: Path | None) -> None:
        self.where = str(where)
        self.state_dir = where
        self.config = config
        self._runner = asyncio.Runner()
        self._opened: Opened | None = None
        self._apps: dict[str, App] = {}

    def send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """See `Sender`."""
        from gateway.control import calling
        from gateway.runtime import controlling

        lacking = controlling.missing()
        if lacking is not None:
            raise click.ClickException(f"{lacking}; or ask another one with --url")

        async def asked() -> tuple[int, bytes]:
            app = await self._app(target.partition("?")[0].split("/")[2])
            found = await calling.call(app, method, target, body, headers)
            return found.status, found.body

        return self._runner.run(asked())

    def close(self) -> None:
        """Lets go of the stores."""

        async def closed() -> None:
            for store in self._opened.stores if self._opened is not None else ():
                await store.close()

        self._runner.run(closed())
        self._runner.close()

    async def _app(self, resource: str) -> App:
        """The app as far as it is about `resource`: all of it takes twice as long to make."""
        from gateway.runtime import administering

        if self._opened is None:
            try:
                self._opened = await administering.opened(self.state_dir, self.config, _user())
            except administering.NotKnown as error:
                raise click.ClickException(str(error)) from error
        if resource not in self._apps:
            self._apps[resource] = self._opened.app(resource)
        return self._apps[resource]


def _user() -> str:
    """Who types this, as the change log has it."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def _several(value: object) -> Iterator[object]:
    """A query parameter may be there several times, or not at all."""
    yield from value if isinstance(value, tuple) else () if value is None else (value,)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refusal(found: Json, status: int) -> str:
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict) or "message" not in error:
        return f"refused with status {status}"
    return "\n".join(_lines(error))


def _lines(error: dict[str, Any]) -> Iterator[str]:
    yield str(error["message"])
    if error.get("code") == "conflict":
        yield f"yours: version {error.get('yours')}; now: version {error.get('current')}"
