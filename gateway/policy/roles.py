"""Who may administer what: the roles of admin principals, and what each route needs. Pure.

A role includes those below it: owner ⊃ admin ⊃ operator ⊃ viewer. `admin` and `viewer` may be held for one tenant
only; such a grant reaches that tenant's projects, keys, meters and changes, and nothing of the gateway itself. The
limits that a tenant lives within (its models and meters) are given to it, so they take an admin of all tenants.

Principals come from the configured admin token or from the control store today. Whoever signs in otherwise later has a
subject and grants too, and nothing here changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

Role: TypeAlias = Literal["owner", "admin", "operator", "viewer"]
"""owner: principals, and all that follows. admin: tenants, projects, keys, meters. operator: drain and resume.
viewer: read."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""The highest first."""

OF_ONE_TENANT: Final[tuple[Role, ...]] = ("admin", "viewer")
"""The roles that may be held for a single tenant."""

Scope: TypeAlias = Literal["gateway", "tenant", "some", "none"]
"""Where a role must be held: for the whole gateway; for it or the tenant of the path; for anything at all, as the
answer holds only what one may see; or nowhere, as any principal will do."""


class Grant(Struct, frozen=True):
    """A role, everywhere (None) or for one tenant."""

    role: Role
    tenant: str | None = None


class Needs(Struct, frozen=True):
    """What a route asks of who calls it."""

    role: Role
    scope: Scope = "gateway"


class Principal(Struct, frozen=True):
    """Who administers. `subject` is the person or system that signs in as this principal."""

    name: str
    subject: str
    grants: tuple[Grant, ...]

    def sees_all(self) -> bool:
        """Whether it may read of every tenant and of the gateway itself."""
        return any(grant.tenant is None for grant in self.grants)

    def tenants(self) -> frozenset[str]:
        """The tenants it has a role for, besides those it has by a role everywhere."""
        return frozenset(grant.tenant for grant in self.grants if grant.tenant is not None)

    def sees(self, tenant: str) -> bool:
        """Whether it may read of this tenant; "" stands for what belongs to none."""
        return self.sees_all() or tenant in self.tenants()


def may(principal: Principal, needs: Needs, tenant: str = "") -> bool:
    """Whether the principal has the role where it is needed; `tenant` is that of the path, "" for none."""
    if needs.scope == "none":
        return True
    return any(_includes(grant.role, needs.role) and _reaches(grant, needs.scope, tenant) for grant in principal.grants)


def problem(grants: Iterable[Grant]) -> str | None:
    """What is wrong with the grants of a principal, in words; None when nothing is."""
    seen: set[Grant] = set()
    for grant in grants:
        if grant.tenant is not None and grant.role not in OF_ONE_TENANT:
            return f"{grant.role} is a role for the whole gateway: only {' and '.join(OF_ONE_TENANT)} take a tenant"
        if grant in seen:
            return f"the role {grant.role} is there twice" + (f" for {grant.tenant}" if grant.tenant else "")
        seen.add(grant)
    return None if seen else "a principal has at least one role"


def _includes(held: Role, needed: Role) -> bool:
    return ROLES.index(held) <= ROLES.index(needed)


def _reaches(grant: Grant, scope: Scope, tenant: str) -> bool:
    if grant.tenant is None or scope == "some":
        return True
    return scope == "tenant" and bool(tenant) and grant.tenant == tenant
