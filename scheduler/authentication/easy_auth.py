"""Reads the principal that the platform's authentication (Easy Auth) sends, and maps app roles to roles of ours.

Only the platform can set the header, if and only if it authenticates every request: it removes the header of a client.
Otherwise any client could forge it, so a setting must state that the platform does so.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.authentication.port import Authenticated, InvalidCredential, RoleMissing
from scheduler.identity.principal import Principal, PrincipalKind, Role, Tags


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


MAX_HEADER_LENGTH = 32 * 1024
_ROLE_CLAIMS = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
_NAME_CLAIMS = ("preferred_username", "upn", "azp", "appid", "oid")


class EasyAuth:
    def __init__(self, roles: RoleMap) -> None:
        self._roles = roles

    def verify(self, header: str) -> Authenticated:
        """Return the caller of `X-MS-CLIENT-PRINCIPAL`. Raises AuthenticationError."""
        body = _decode(header)
        claims = [(claim["typ"], claim["val"]) for claim in _list_claims(body)]
        role_types = {*_ROLE_CLAIMS, str(body.get("role_typ") or "roles")}
        name_types = (str(body.get("name_typ") or ""), *_NAME_CLAIMS)
        roles = [value for kind, value in claims if kind in role_types]
        name = next((value for each in name_types for kind, value in claims if kind == each and value), "unknown")
        return Authenticated(self._roles.find_principal(PrincipalKind.EASY_AUTH, name[:200], roles))


def _decode(header: str) -> Mapping[str, Any]:
    try:
        if len(header) > MAX_HEADER_LENGTH:
            raise ValueError("too long")
        body = json.loads(base64.b64decode(header, validate=True))
    except (ValueError, RecursionError, binascii.Error):
        body = None
    if not isinstance(body, dict):
        detail = "X-MS-CLIENT-PRINCIPAL is not a principal of the platform."
        raise InvalidCredential(detail, reason="platform_claims_invalid", way=PrincipalKind.EASY_AUTH)
    return body


def _list_claims(body: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    claims = body.get("claims")
    return [
        claim
        for claim in (claims if isinstance(claims, list) else ())
        if isinstance(claim, dict) and isinstance(claim.get("typ"), str) and isinstance(claim.get("val"), str)
    ]
