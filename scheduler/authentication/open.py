"""Authentication of an API that only clients on loopback reach, in development. Used by scheduler.app."""

from __future__ import annotations

from scheduler.authentication.port import Authenticated, AuthenticationMode, RequestCredentials
from scheduler.identity.principal import LOCAL_PRINCIPAL


class OpenAuthenticator:
    """Every caller is the local user, with the role admin."""

    mode = AuthenticationMode.OPEN

    async def authenticate(self, request: RequestCredentials) -> Authenticated:
        """See Authenticator.authenticate."""
        return Authenticated(LOCAL_PRINCIPAL)
