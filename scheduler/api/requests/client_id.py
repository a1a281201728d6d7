"""Identifies the client of a request. Used by scheduler.api.requests.rate_limiter and
scheduler.api.requests.idempotency.
"""

from __future__ import annotations

from starlette.types import Scope

from scheduler.api.requests.client_address import find_client_address, find_client_network
from scheduler.identity.principal import Principal, format_tag_limits


def find_client_id(scope: Scope) -> str:
    """Return the id of the principal that the authentication found, with the tags that limit what it sees; without a
    principal, the client's address.
    """
    principal = _find_principal(scope)
    if principal is None:
        return f"address:{find_client_address(scope)}"
    return "\n".join((principal.id, *format_tag_limits(principal.tags)))


def find_limited_client(scope: Scope) -> str:
    """Return whose requests are counted together: those of a principal; without one, of the client's network."""
    principal = _find_principal(scope)
    return f"address:{find_client_network(scope)}" if principal is None else principal.id


def _find_principal(scope: Scope) -> Principal | None:
    principal: Principal | None = (scope.get("state") or {}).get("principal")
    return principal
