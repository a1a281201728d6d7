"""Maps the app roles of a token to a role of ours. Used by scheduler.authentication.entra and easy_auth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.authentication.errors import RoleMissing
from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.identity.tags import Tags


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """`tags`: of the jobs that the role is for; empty: all jobs."""

    role: Role
    tags: Tags = ()


class RoleMap:
    """`grants`: by app role."""

    def __init__(self, grants: Mapping[str, RoleGrant]) -> None:
        self._grants = grants

    def find_principal(self, kind: PrincipalKind, name: str, app_roles: object) -> Principal:
        """Return the principal with the highest role of its app roles. Raises RoleMissing.

        Of several grants of the same role, the tags are combined; one without tags is for all jobs. A lower role with
        other tags does not count, because a principal has one role for all jobs that it sees.
        """
        given = app_roles if isinstance(app_roles, list) else [app_roles]
        grants = [self._grants[each] for each in given if isinstance(each, str) and each in self._grants]
        if not grants:
            detail = "The caller has no app role that the setting http.entra.roles contains."
            raise RoleMissing(detail, reason="role_missing", way=kind, claimed=f"{kind}:{name}")
        highest = max((grant.role for grant in grants), key=list(Role).index)
        chosen = [grant.tags for grant in grants if grant.role is highest]
        tags = () if () in chosen else tuple(sorted({tag for limits in chosen for tag in limits}))
        return Principal(kind, name, highest, tags)
