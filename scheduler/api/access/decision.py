"""Decides whether a caller may call a route. Pure. Called by scheduler.api.access.control."""

from __future__ import annotations

from scheduler.api.declared_route import DeclaredRoute
from scheduler.api.scopes import Scope as RouteScope
from scheduler.identity.principal import Principal, Role

ROLE_OF_SCOPE = {
    RouteScope.METRICS: Role.METRICS,
    RouteScope.READ: Role.VIEWER,
    RouteScope.OPERATE: Role.OPERATOR,
    RouteScope.MANAGE: Role.ADMIN,
}
"""The role that a scope needs. A scope without a role needs no caller, see FREE_SCOPES."""
FREE_SCOPES = frozenset({RouteScope.PUBLIC, RouteScope.PING, RouteScope.SIGN_IN})
"""Scopes of routes that need no caller."""


def find_denial(principal: Principal, route: DeclaredRoute) -> str:
    """Return why an authenticated caller must not call the route; empty if it may."""
    if route.scope in FREE_SCOPES:
        return ""
    role = ROLE_OF_SCOPE.get(route.scope)
    if role is None:
        return "This route has a scope that no role includes."
    if not principal.role.includes(role):
        return f"This request needs the role {role}; {principal.id} has the role {principal.role}."
    if principal.tags and not route.by_tag:
        return (
            f"This request concerns all jobs, and {principal.id} is limited to tags. Use a caller without tag limits."
        )
    return ""
