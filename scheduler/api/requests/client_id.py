"""Identifies the client of a request. Used by scheduler.api.requests.rate_limiter and
scheduler.api.requests.idempotency.
"""

from __future__ import annotations

from starlette.types import Scope

from scheduler.api.requests.client_address import find_client_address
from scheduler.identity.principal import Principal


def find_client_id(scope: Scope) -> str:
    """Return the id of the principal that the authentication found; without one, the client's address."""
    principal: Principal | None = (scope.get("state") or {}).get("principal")
    return f"address:{find_client_address(scope)}" if principal is None else principal.id
