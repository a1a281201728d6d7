"""The port of authentication: what a request has to show, who is found to send it, and why it is refused.

AuthenticationError
 ├─ InvalidCredential           401: a credential is unknown, expired, revoked or forged
 ├─ RoleMissing                 403: the caller is known, and the settings give it no role
 └─ AuthenticationUnavailable   503: the store or the identity provider is unavailable, so the caller is unknown

scheduler.api.access calls it. The two modes that need no store are here as well: an API that only clients on loopback
reach, and the keys of the Functions host. The platform has checked such a key before the request arrives, and does not
pass on which key it was: the function decides the role.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from scheduler.identity.principal import LOCAL_PRINCIPAL, Principal, PrincipalKind, Role

if TYPE_CHECKING:
    from scheduler.authentication.sessions import Sessions


class AuthenticationMode(StrEnum):
    """Where callers are authenticated."""

    OPEN = "open"
    """Nowhere: only clients on loopback reach the API."""
    FUNCTION_KEYS = "function_keys"
    """By the platform: Azure Functions checks the key of the function."""
    OWN = "own"
    """By the scheduler."""


@dataclass(frozen=True, slots=True)
class RequestCredentials:
    """What authentication reads of a request.

    `headers`: returns all values of a header by its lowercase name. `address`: of the client, empty if unknown.
    `function_name`: the HTTP function whose key the platform has checked, empty elsewhere. `is_suspect`: the address
    has failed authentication too often, so that an unknown key is rejected without a read of the store.
    """

    headers: Callable[[str], Sequence[str]]
    address: str = ""
    function_name: str = ""
    is_suspect: bool = False


@dataclass(frozen=True, slots=True)
class Authenticated:
    """An authenticated caller. `key_id`: of the API key that was used.

    `valid_until`: the end of the credential. `session_id`: the session whose cookie was sent, if it was a cookie.
    """

    principal: Principal
    key_id: str = ""
    valid_until: datetime | None = None
    session_id: str = ""


class Authenticator(Protocol):
    """Finds out who sends a request."""

    @property
    def mode(self) -> AuthenticationMode: ...

    async def authenticate(self, request: RequestCredentials) -> Authenticated | None:
        """Return the caller; None for a request without a credential. Raises AuthenticationError."""
        ...


class AuthenticationError(Exception):
    """The caller is not authenticated. The message is for the caller and never contains a credential."""

    def __init__(self, detail: str, *, reason: str, way: str, claimed: str = "") -> None:
        """`reason`: a code for the audit trail, such as `key_expired`. `way`: a PrincipalKind, or empty.

        `claimed`: the id of the principal, if it is known.
        """
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.way = way
        self.claimed = claimed


class InvalidCredential(AuthenticationError):
    """The credential is not valid."""


class RoleMissing(AuthenticationError):
    """The credential is valid, but the settings give its owner no role."""


class AuthenticationUnavailable(AuthenticationError):
    """It is unknown now whether the credential is valid."""


class OpenAuthenticator:
    """Every caller is the local user, with the role admin."""

    mode = AuthenticationMode.OPEN

    async def authenticate(self, request: RequestCredentials) -> Authenticated:
        """Return the local user, whatever the request has."""
        return Authenticated(LOCAL_PRINCIPAL)


_ROLES = {"metrics": Role.METRICS, "read": Role.VIEWER, "operate": Role.OPERATOR, "manage": Role.ADMIN}
"""By the name of the function up to an underscore, see scheduler.api.scopes.HTTP_FUNCTIONS."""


class FunctionKeyAuthenticator:
    """The principal is named by its function: the name of the key is unknown."""

    mode = AuthenticationMode.FUNCTION_KEYS

    async def authenticate(self, request: RequestCredentials) -> Authenticated | None:
        """Return the function whose key the platform has checked; None for a function without a role."""
        role = _ROLES.get(request.function_name.partition("_")[0])
        if role is None:
            return None
        return Authenticated(Principal(PrincipalKind.FUNCTION_KEY, request.function_name, role))


@dataclass(frozen=True, slots=True)
class Authentication:
    """`sessions`: None where the scheduler does not authenticate callers itself.

    `trusts_platform`: whether only the platform can set the header with its claims (Easy Auth).

    `is_remote`: whether clients other than those on loopback can reach the API.
    """

    authenticator: Authenticator
    sessions: Sessions | None = None
    trusts_platform: bool = False
    is_remote: bool = False

    @property
    def mode(self) -> AuthenticationMode:
        return self.authenticator.mode


def open_authentication() -> Authentication:
    """Return the authentication of an API that only clients on loopback reach, in development."""
    return Authentication(OpenAuthenticator())
