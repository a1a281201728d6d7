"""Authenticates each request and decides whether its caller may call its route. The only place that does.

A middleware of every app, after the checks of host, origin and size (scheduler.api.middleware.guard) and before the
limits of reads and the routes. Default deny: a request is passed on only if its route declares a scope
(scheduler.api.routing) and the caller's role includes it. A path without a route needs a caller as well, so that only
callers learn which paths exist.

It stores the result in `scope["state"]`: `principal`, `authenticated`, `route_scope` (None without a route), and
`authentication_error` on routes that need no caller.

A browser sends the cookie of a session by itself, so another site must not be able to cause a change with it.
SameSite=Strict prevents that; a check of the headers does so as well. The guard has rejected a foreign origin already,
and accepts requests without any of these headers, as commands send them; a browser always sends one of them.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.declared_routes import DeclaredRoute, RouteTable
from scheduler.api.middleware.guard import SAFE_METHODS
from scheduler.api.middleware.request_limits import is_suspect
from scheduler.api.middleware.requests import FUNCTION_NAME, find_client_address, header_reader, header_values, reject
from scheduler.api.negotiation import accepts_html, create_problem_page
from scheduler.api.scopes import HEALTH_PATH, PING_PATH_PREFIX, SIGN_IN_PATH, mask_token
from scheduler.api.scopes import Scope as RouteScope
from scheduler.audit.trail import AuditTrail, Refusal
from scheduler.authentication.own import EASY_AUTH_HEADER
from scheduler.authentication.port import (
    Authenticated,
    Authentication,
    AuthenticationError,
    AuthenticationMode,
    AuthenticationUnavailable,
    InvalidCredential,
    RequestCredentials,
    RoleMissing,
)
from scheduler.identity.principal import Principal, PrincipalKind, Role

_ORIGIN_HEADERS = frozenset({b"sec-fetch-site", b"origin", b"referer"})


def find_cookie_error(scope: Scope) -> str:
    """Return why the request is rejected; empty if it is accepted."""
    if scope["method"] in SAFE_METHODS or any(name in _ORIGIN_HEADERS for name, _ in scope["headers"]):
        return ""
    return (
        "A change with a session cookie needs the header Sec-Fetch-Site, Origin or Referer, which a browser sends. "
        "Use an API key in other clients."
    )


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


_NEEDS_CREDENTIAL = "This request needs a credential. Send `Authorization: Bearer KEY` or `X-API-Key: KEY`."
CHALLENGE = 'Bearer realm="scheduler"'
INVALID_CHALLENGE = f'{CHALLENGE}, error="invalid_token"'
"""For a request whose credential is invalid."""


def is_page_request(scope: Scope) -> bool:
    """Return whether a browser requests a page."""
    return scope["method"] in ("GET", "HEAD") and accepts_html(Request(scope))


async def answer_unauthenticated(
    scope: Scope, send: Send, detail: str, *, is_invalid: bool = False, can_sign_in: bool = False
) -> None:
    """Send 401, or redirect a browser to the sign-in page. `is_invalid`: the request had a credential."""
    if can_sign_in and is_page_request(scope):
        location = f"{SIGN_IN_PATH}?{urlencode({'next': scope['path']})}"
        await reject(scope, send, HTTPStatus.SEE_OTHER, _NEEDS_CREDENTIAL, headers=[(b"location", location.encode())])
        return
    challenge = INVALID_CHALLENGE if is_invalid else CHALLENGE
    headers = [(b"www-authenticate", challenge.encode())]
    await reject(scope, send, HTTPStatus.UNAUTHORIZED, detail or _NEEDS_CREDENTIAL, headers=headers)


async def answer_forbidden(scope: Scope, send: Send, detail: str) -> None:
    """Send 403, as a page to a browser that requests one."""
    page = create_problem_page(Request(scope), HTTPStatus.FORBIDDEN, detail) if is_page_request(scope) else None
    if page is None:
        await reject(scope, send, HTTPStatus.FORBIDDEN, detail)
        return
    await send({"type": "http.response.start", "status": page.status_code, "headers": page.raw_headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else page.body})


_log = logging.getLogger("scheduler.api")

_NO_SCOPE = "This route declares no scope, so no caller has access to it."
_RETRY_AFTER = "5"


class AccessControl:
    """Answers 401, 403 or 503, or passes the request with its caller to the app."""

    def __init__(self, app: ASGIApp, authentication: Authentication, audit: AuditTrail, routes: RouteTable) -> None:
        self._app = app
        self._audit = audit
        self._authentication = authentication
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            passes = await self._decide(scope, send)
        except Exception:
            _log.exception("could not decide about %s %s", scope["method"], mask_token(scope["path"]))
            detail = "The scheduler failed to process the request. The log contains the error."
            await reject(scope, send, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
            return
        if passes:
            await self._app(scope, receive, send)

    async def _decide(self, scope: Scope, send: Send) -> bool:
        """Return whether the request is passed on; otherwise it is answered."""
        # A copy: the adapter of the Functions host passes None, and a server may share the object between requests.
        state = scope["state"] = dict(scope.get("state") or {})
        route = self._routes.find(scope["method"], scope["path"])
        state["route_scope"] = None if route is None else route.scope
        is_free = route.scope in FREE_SCOPES if route is not None else _is_missing_free_path(scope)
        if route is not None and route.scope is RouteScope.PING:
            return True  # the token in the path is the credential, and any other one is ignored
        await self._record_forged_claims(scope)
        try:
            caller = await self._authentication.authenticator.authenticate(_read_credentials(scope))
        except AuthenticationError as error:
            if is_free:
                state["authentication_error"] = error
                return True
            await self._answer_error(scope, send, error)
            return False
        if caller is not None:
            state["principal"], state["authenticated"] = caller.principal, caller
        if is_free:
            return await self._allows_cookie(scope, send, caller)
        if caller is None:
            await self._answer_anonymous(scope, send)
            return False
        return await self._allows(scope, send, caller, route) and await self._allows_cookie(scope, send, caller)

    async def _allows(self, scope: Scope, send: Send, caller: Authenticated, route: DeclaredRoute | None) -> bool:
        unknown = _NO_SCOPE if route is None and _is_served(scope) else ""
        denial = unknown if route is None else find_denial(caller.principal, route)
        if denial:
            await self._deny(scope, send, denial, "role", caller)
        return not denial

    async def _allows_cookie(self, scope: Scope, send: Send, caller: Authenticated | None) -> bool:
        if caller is None or not caller.session_id or not (error := find_cookie_error(scope)):
            return True
        await self._deny(scope, send, error, "cross_site", caller)
        return False

    async def _deny(self, scope: Scope, send: Send, detail: str, reason: str, caller: Authenticated) -> None:
        await self._record(scope, reason, caller.principal.id, way=caller.principal.kind)
        await answer_forbidden(scope, send, detail)

    async def _answer_error(self, scope: Scope, send: Send, error: AuthenticationError) -> None:
        if isinstance(error, AuthenticationUnavailable):
            await reject(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, error.detail, retry_after=_RETRY_AFTER)
            return
        if not (isinstance(error, InvalidCredential) and is_suspect(scope)):
            await self._record(scope, error.reason, error.claimed, way=error.way)
        if isinstance(error, RoleMissing):
            await answer_forbidden(scope, send, error.detail)
        else:
            await answer_unauthenticated(scope, send, error.detail, is_invalid=True)

    async def _answer_anonymous(self, scope: Scope, send: Send) -> None:
        can_sign_in = self._authentication.mode is AuthenticationMode.OWN
        if not (can_sign_in and is_page_request(scope)):
            await self._record(scope, "no_credential")
        await answer_unauthenticated(scope, send, "", can_sign_in=can_sign_in)

    async def _record_forged_claims(self, scope: Scope) -> None:
        """Record an Easy Auth header that the platform cannot have sent. It is ignored."""
        if header_values(scope, EASY_AUTH_HEADER) and not self._authentication.trusts_platform:
            await self._record(scope, "platform_claims_ignored", way=PrincipalKind.EASY_AUTH)

    async def _record(self, scope: Scope, reason: str, principal: str = "", *, way: str = "") -> None:
        route = self._routes.find(scope["method"], scope["path"])
        template = "no route" if route is None else f"{route.method} {route.path}"
        address, request_id = find_client_address(scope), scope["state"].get("request_id", "")
        _log.info(
            "%s was refused: %s; caller %s, address %s", template, reason, principal or "unknown", address or "unknown"
        )
        await self._audit.record_refusal(Refusal(way or "none", template, reason, principal, address, request_id))


def _is_missing_free_path(scope: Scope) -> bool:
    """Return whether a path without a route lies among those of health or pings, where it gets 404 without a caller."""
    return scope["path"].startswith((f"{HEALTH_PATH}/", PING_PATH_PREFIX)) and not _is_served(scope)


def _read_credentials(scope: Scope) -> RequestCredentials:
    function = scope.get(FUNCTION_NAME) or ""
    return RequestCredentials(header_reader(scope), find_client_address(scope), function, is_suspect(scope))


def _is_served(scope: Scope) -> bool:
    """Return whether the app has a route for the request, although no declaration matches."""
    app: Any = scope.get("app")
    routes = app.router.routes if app is not None else ()
    as_get = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
    return any(route.matches(as_get)[0] is Match.FULL for route in routes)
