"""The routes that start, show and end the session of a browser."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import HTTPException, Request, Response

from scheduler.api.access.browser_sessions import end_session, record_refused_session, start_session
from scheduler.api.access.responses import CHALLENGE, INVALID_CHALLENGE
from scheduler.api.access.session_models import SessionModel
from scheduler.api.dependencies import ServicesDep
from scheduler.api.routing import ApiRouter
from scheduler.authentication.port import (
    Authenticated,
    AuthenticationError,
    AuthenticationUnavailable,
    InvalidCredential,
    RoleMissing,
)

router = ApiRouter("session", by_tag=True)


@router.sign_in("POST", "/api/session", status_code=HTTPStatus.CREATED, problems=(HTTPStatus.CONFLICT,))
async def create_session(request: Request, services: ServicesDep, response: Response) -> SessionModel:
    """Start a session for the caller of a valid API key or token. The response sets its cookie (HttpOnly, Secure).

    The session ends with the key or the token, after its lifetime, or without requests for a while. 409 where the
    scheduler does not authenticate callers itself.
    """
    error: AuthenticationError | None = request.scope["state"].get("authentication_error")
    if error is not None:
        await record_refused_session(request, services, error)
        raise HTTPException(_status_of(error), error.detail, _headers_of(error))
    caller: Authenticated | None = request.scope["state"].get("authenticated")
    if caller is None or caller.session_id:
        detail = "A session starts with an API key or a token. Send one."
        raise HTTPException(HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": CHALLENGE})
    started = await start_session(request, services, caller, response)
    return SessionModel.from_caller(started, services.authentication, started.valid_until)


@router.read("/api/session")
async def get_session(request: Request, services: ServicesDep) -> SessionModel:
    """Return the caller: its role, its tags, and when its session or its credential ends."""
    caller: Authenticated = request.scope["state"]["authenticated"]
    return SessionModel.from_caller(caller, services.authentication, caller.valid_until)


@router.sign_in("DELETE", "/api/session", status_code=HTTPStatus.NO_CONTENT, problems=(HTTPStatus.CONFLICT,))
async def delete_session(request: Request, services: ServicesDep, response: Response) -> None:
    """End the session of the cookie. Without a session nothing changes."""
    await end_session(request, services, response)


def _headers_of(error: AuthenticationError) -> dict[str, str] | None:
    return {"WWW-Authenticate": INVALID_CHALLENGE} if isinstance(error, InvalidCredential) else None


def _status_of(error: AuthenticationError) -> HTTPStatus:
    if isinstance(error, AuthenticationUnavailable):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.FORBIDDEN if isinstance(error, RoleMissing) else HTTPStatus.UNAUTHORIZED
