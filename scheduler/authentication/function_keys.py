"""Authentication by the keys of the Functions host. Used by scheduler.app.

The platform has checked the key of the HTTP function before the request arrives, and does not pass on which key it was.
The function decides the role. A function that the platform serves to anyone identifies no caller.
"""

from __future__ import annotations

from scheduler.authentication.port import Authenticated, AuthenticationMode, RequestCredentials
from scheduler.identity.principal import Principal, PrincipalKind, Role

_ROLES = {"metrics": Role.METRICS, "read": Role.VIEWER, "operate": Role.OPERATOR, "manage": Role.ADMIN}
"""By the name of the function up to an underscore, see scheduler.api.scopes.HTTP_FUNCTIONS."""


class FunctionKeyAuthenticator:
    """The principal is named by its function: the name of the key is unknown."""

    mode = AuthenticationMode.FUNCTION_KEYS

    async def authenticate(self, request: RequestCredentials) -> Authenticated | None:
        """See Authenticator.authenticate."""
        role = _ROLES.get(request.function_name.partition("_")[0])
        if role is None:
            return None
        return Authenticated(Principal(PrincipalKind.FUNCTION_KEY, request.function_name, role))
