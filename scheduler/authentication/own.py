"""Authentication by the scheduler: API keys, Entra tokens, platform authentication, sessions. Used by scheduler.app.

A request has one credential. Two explicit ones are rejected, because it would be unclear which of them counts; the
cookie, which a browser adds by itself, counts only without an explicit one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from scheduler.authentication.errors import InvalidCredential
from scheduler.authentication.key_verifier import KeyVerifier
from scheduler.authentication.port import Authenticated, AuthenticationMode, RequestCredentials
from scheduler.identity.api_keys import API_KEY_PREFIX

EASY_AUTH_HEADER = "x-ms-client-principal"
_TWO_CREDENTIALS = "The request has more than one credential. Send Authorization or X-API-Key, and only once."
_WRONG_SCHEME = "The Authorization header is not supported. Send `Authorization: Bearer KEY`."
_NO_TOKENS = "The bearer token is not an API key, and the setting http.entra does not accept other tokens."


class BearerVerifier(Protocol):
    """Verifies bearer tokens that are not API keys; see scheduler.authentication.entra."""

    async def verify(self, token: str) -> Authenticated:
        """Raises AuthenticationError."""
        ...


class Ways(NamedTuple):
    """The ways in that the settings allow, in addition to API keys."""

    entra: BearerVerifier | None = None
    easy_auth: Callable[[str], Authenticated] | None = None
    session: Callable[[str, str], Awaitable[Authenticated | None]] | None = None
    """Gets the Cookie header and the address."""


class OwnAuthenticator:
    mode = AuthenticationMode.OWN

    def __init__(self, keys: KeyVerifier, ways: Ways) -> None:
        self._keys = keys
        self._ways = ways

    async def authenticate(self, request: RequestCredentials) -> Authenticated | None:
        """See Authenticator.authenticate."""
        bearers, keys = request.headers("authorization"), request.headers("x-api-key")
        if len(bearers) + len(keys) > 1:
            raise InvalidCredential(_TWO_CREDENTIALS, reason="several_credentials", way="")
        if bearers:
            return await self._authenticate_bearer(bearers[0], request)
        if keys:
            return await self._keys.verify(keys[0].strip(), request.address, is_suspect=request.is_suspect)
        if self._ways.easy_auth is not None and (claims := request.headers(EASY_AUTH_HEADER)):
            if len(claims) > 1:
                raise InvalidCredential(_TWO_CREDENTIALS, reason="several_credentials", way="")
            return self._ways.easy_auth(claims[0])
        if self._ways.session is not None and (cookies := request.headers("cookie")):
            return await self._ways.session("; ".join(cookies), request.address)
        return None

    async def _authenticate_bearer(self, header: str, request: RequestCredentials) -> Authenticated:
        scheme, _, token = header.strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise InvalidCredential(_WRONG_SCHEME, reason="scheme_unknown", way="")
        if token.startswith(API_KEY_PREFIX):
            return await self._keys.verify(token, request.address, is_suspect=request.is_suspect)
        if self._ways.entra is None:
            raise InvalidCredential(_NO_TOKENS, reason="token_unsupported", way="")
        return await self._ways.entra.verify(token)
