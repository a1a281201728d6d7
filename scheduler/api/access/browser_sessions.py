"""Starts and ends the session of a browser, with its cookie and its entry in the audit trail.

Called by scheduler.api.access.session_routes and scheduler.api.dashboard.access.sign_in_page.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from math import ceil

from fastapi import HTTPException, Request, Response

from jobs.formats.counts import format_count
from scheduler.api.dependencies import create_caller
from scheduler.api.problems import ApiError
from scheduler.api.requests.client_address import find_client_address
from scheduler.api.requests.rate_limiter import is_suspect
from scheduler.audit.trail import AuditedChange, Refusal, audited
from scheduler.authentication.port import Authenticated, AuthenticationError, InvalidCredential
from scheduler.authentication.sessions import MAX_STARTS, PLAIN_COOKIE, SECURE_COOKIE, Sessions
from scheduler.services import Services


async def start_session(
    request: Request, services: Services, caller: Authenticated, response: Response
) -> Authenticated:
    """Start a session for a caller and set its cookie. Return its caller.

    Raises StoreError, ApiError; HTTPException: the caller has started too many.
    """
    sessions, who = _require_sessions(services), caller.principal
    if wait := sessions.count_start(who):
        detail = f"{who.id} has signed in {MAX_STARTS} times within an hour. Use a session that exists, or retry later."
        raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": str(ceil(wait))})
    replaced = await sessions.list_surplus(who)
    ended = f"; {format_count(len(replaced), 'older session')} of it ended" if replaced else ""
    change = AuditedChange("session.start", who.id, f"{who.id} signed in{ended}")
    async with audited(services.audit, create_caller(request, who), change):
        cookie, session = await sessions.start(caller, replaced, find_client_address(request.scope))
    is_secure = _is_secure(request, services)
    response.set_cookie(
        SECURE_COOKIE if is_secure else PLAIN_COOKIE,
        cookie,
        max_age=max(1, int((session.ends_at - session.used_at).total_seconds())),
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="strict",
    )
    return replace(caller, valid_until=session.ends_at, session_id=session.id)


async def end_session(request: Request, services: Services, response: Response) -> None:
    """End the session of the cookie, if there is one, and delete the cookie. Raises StoreError, ApiError."""
    sessions = _require_sessions(services)
    caller: Authenticated | None = request.scope["state"].get("authenticated")
    if caller is not None and caller.session_id:
        change = AuditedChange("session.end", caller.principal.id, f"{caller.principal.id} signed out")
        async with audited(services.audit, create_caller(request, caller.principal), change):
            await sessions.end(caller.session_id)
    for name, is_secure in ((SECURE_COOKIE, True), (PLAIN_COOKIE, False)):
        if name in request.cookies:
            response.delete_cookie(name, path="/", secure=is_secure, httponly=True, samesite="strict")


async def record_refused_session(request: Request, services: Services, error: AuthenticationError) -> None:
    """Record that a session was refused, unless the address has failed too often."""
    if isinstance(error, InvalidCredential) and is_suspect(request.scope):
        return
    route, address = f"{request.method} {request.url.path}", find_client_address(request.scope)
    request_id = request.scope["state"].get("request_id", "")
    refusal = Refusal(error.way or "none", route, error.reason, error.claimed, address, request_id)
    await services.audit.record_refusal(refusal)


def _require_sessions(services: Services) -> Sessions:
    if services.authentication.sessions is None:
        detail = "The scheduler does not authenticate callers itself here, so there are no sessions."
        raise ApiError(HTTPStatus.CONFLICT, detail)
    return services.authentication.sessions


def _is_secure(request: Request, services: Services) -> bool:
    """Return whether the cookie is for HTTPS alone: always, except on loopback without TLS."""
    schemes = (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
    return services.authentication.is_remote or "https" in schemes
