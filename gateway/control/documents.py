"""Documents of entries: what a request says, merged, checked as the files' sections are, and shown. Pure but for the
environment that references are looked up in.

A document is kept as it was written (`"cap": "$1"`), so that who reads it finds what somebody wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway.config import overlay, review_chains, review_content, review_meters
from gateway.config.entries import Entry, Kind
from gateway.config.model import Config, Key, Tenant
from gateway.config.model_meters import Downgrade, Meters, Project
from gateway.config.shape import Path, dotted
from gateway.config.snapshot_meters import counts_money, sections
from gateway.control import errors
from gateway.control.service import Body, time_text
from gateway.control.written import Section
from gateway.errors import ConfigError

SECRET_FIELDS = ("hash", "previous")
"""Of a document: never shown."""
_LISTS: Mapping[str, tuple[str, ...]] = {
    "tenant": ("models", "meters"),
    "project": ("meters",),
    "key": ("models", "projects", "meters"),
}
"""What is empty where a document does not name it."""
_MOST_PROBLEMS: Final = 20


def merged(document: Body, patch: Mapping[str, Any]) -> Body:
    """The document with a merge patch laid on (RFC 7396): null takes a field away, what is not named stays."""
    result = dict(document)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            under = result.get(name)
            result[name] = merged(under if isinstance(under, dict) else {}, value)
        else:
            result[name] = value
    return result


def encoded(document: Mapping[str, Any]) -> bytes:
    """As the store keeps it."""
    return msgspec.json.encode(document)


def decoded(entry: Entry) -> Body:
    """What `encoded` was given."""
    found: Body = msgspec.json.decode(entry.document)
    return found


def shaped(kind: Kind, document: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    """The document as the section that it is (`overlay.SECTIONS`), with the checks of the files. Raises errors.Invalid
    that names all that is wrong."""
    try:
        return overlay.section_of(kind, encoded(document), environ)
    except ConfigError as error:
        lines = str(error).splitlines()
        path, colon, _ = lines[0].partition(": ")
        param = path if colon and " " not in path else None
        raise errors.Invalid("; ".join(lines[:_MOST_PROBLEMS]), param=param) from error


def review(config: Config, tenant: str, name: str, section: Section, projects: Iterable[str] = ()) -> None:
    """Checks what must hold between an entry and what stands around it: the models that there are, and the projects of
    its tenant. Raises errors.Invalid."""
    match section:
        case Tenant():
            _review(config, name, section)
        case Project():
            _review(config, tenant, Tenant(models=(), projects={name: section}), ("projects", name))
        case Key():
            known = dict.fromkeys(projects, Project())  # bare: only their names count
            _review(config, tenant, Tenant(models=(), projects=known, keys={name: section}), ("keys", name))


def _review(config: Config, tenant: str, section: Tenant, under: Path = ()) -> None:
    """`section` is the tenant as far as it is of interest, and `under` where in it the document stands."""
    wanted = _downgrades(section)
    models = {alias: model for alias, model in config.models.items() if alias in wanted}
    if len(models) < len(wanted):
        models = config.models  # something is not there: with all of them the nearest can be told
    small = Config(backends=config.backends, models=models, tenants={tenant: section}, chains=config.chains)
    here: Path = ("tenants", tenant, *under)
    problems = [
        (finding.path[len(here) :], finding.message)
        for finding in (
            *review_meters.problems(small),
            *review_chains.of_tenant(small, tenant, section),
            *review_content.of_tenant(small, tenant, section),
        )
        if finding.path[: len(here)] == here
    ]
    if not problems and not counts_money(config):
        # Counting money refuses every model without a price, to all callers: here that is each of them.
        told = "no model has a price, so that counting money would refuse every call: give the models prices first"
        problems = [
            ((*path[len(here) :], index, "cap"), told)
            for path, _, meters in sections(small)
            for index, entry in enumerate(meters)
            if entry.cap.endswith(" usd") and path[: len(here)] == here
        ]
    if problems:
        raise _invalid(problems)


def shown(entry: Entry) -> Body:
    """An entry as answers have it, without what may not be seen."""
    document = decoded(entry)
    body: Body = {"tenant": entry.tenant} if entry.tenant else {}
    body |= {"name": entry.name, **{field: [] for field in _LISTS.get(entry.kind, ())}}
    body |= {name: value for name, value in document.items() if name not in SECRET_FIELDS}
    if "previous" in document:
        body["previous_expires"] = document["previous"]["expires"]
    return body | {
        "source": "api",
        "place": None,
        "version": entry.version,
        "created_at": time_text(entry.created_ns),
        "created_by": entry.created_by,
        "changed_at": time_text(entry.changed_ns),
        "gone_at": time_text(entry.gone_ns),
    }


def _invalid(problems: list[tuple[Path, str]]) -> errors.Invalid:
    lines = [": ".join(part for part in (dotted(path), message) if part) for path, message in problems[:_MOST_PROBLEMS]]
    return errors.Invalid("; ".join(lines), param=dotted(problems[0][0]) or None)


def _downgrades(section: Tenant) -> set[str]:
    """The models that the meters name."""
    return {
        action.downgrade
        for meters in _meters(section)
        for entry in meters
        for action in entry.at.values()
        if isinstance(action, Downgrade)
    }


def _meters(section: Tenant) -> list[Meters]:
    holders: list[Tenant | Project | Key] = [section, *section.projects.values(), *section.keys.values()]
    return [holder.meters for holder in holders]
