"""Reads the principal that the platform's authentication (Easy Auth) sends. Used by scheduler.app.authentication_setup.

Only the platform can set the header, if and only if it authenticates every request: it removes the header of a client.
Otherwise any client could forge it, so a setting must state that the platform does so.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.authentication.errors import InvalidCredential
from scheduler.authentication.port import Authenticated
from scheduler.authentication.role_map import RoleMap
from scheduler.identity.principal import PrincipalKind

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
