"""The routes of API keys, of the session of a browser, and of the sessions of all browsers.

The sign-in page starts and ends a session as the routes do: with its cookie and its entry in the audit trail.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from math import ceil
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request, Response
from pydantic import Field

from jobs.formats import format_count
from scheduler.api.access import CHALLENGE, INVALID_CHALLENGE
from scheduler.api.middleware.idempotency import mark_secret_response
from scheduler.api.middleware.request_limits import is_suspect
from scheduler.api.middleware.requests import find_client_address
from scheduler.api.problems import ApiError
from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep, create_caller
from scheduler.audit.trail import AuditedChange, Refusal, audited
from scheduler.authentication.port import (
    Authenticated,
    AuthenticationError,
    AuthenticationUnavailable,
    InvalidCredential,
    RoleMissing,
)
from scheduler.authentication.sessions import MAX_STARTS, PLAIN_COOKIE, SECURE_COOKIE, Sessions
from scheduler.features.access.models import (
    BrowserSessionList,
    CreatedKeyModel,
    KeyList,
    KeyModel,
    SessionModel,
)
from scheduler.features.access.service import (
    DEFAULT_OVERLAP,
    KEY_NAME_PATTERN,
    MAX_ADDRESSES,
    MAX_OVERLAP,
    MAX_TAGS,
    NewKey,
)
from scheduler.identity.principal import TAG_LIMIT_PATTERN, Role, format_tag_limits, parse_tag_limits
from scheduler.model_base import Instant, RequestModel, example
from scheduler.services import Services

# A caller that is limited to tags manages the keys that are limited to these tags.
key_router = ApiRouter("keys", by_tag=True)

KeyId = Annotated[
    str, Path(max_length=50, description="The key's id, the third part of its text", examples=["k7f3m2qd9x"])
]
_TEXT = Annotated[str, Field(max_length=200)]
_TAG = Annotated[
    str,
    Field(max_length=200, pattern=TAG_LIMIT_PATTERN, description="such as team:payments", examples=["team:payments"]),
]


class CreateKeyRequest(RequestModel):
    """`role`: viewer reads, operator acts as well, admin changes stored objects as well.

    `tags`: such as `team:payments`; the key sees only jobs with one of them. `expires_at` null: without an end.
    `addresses`: networks that may use it, such as `10.20.0.0/16`; empty: any address.
    """

    model_config = example(
        {
            "name": "deploy-pipeline",
            "role": "operator",
            "tags": ["team:payments"],
            "expires_at": "2030-01-01T00:00:00Z",
            "addresses": ["10.20.0.0/16"],
        }
    )

    name: str = Field(pattern=KEY_NAME_PATTERN)
    role: Annotated[Role, Field(strict=False)]
    tags: list[_TAG] = Field(default=[], max_length=MAX_TAGS)
    expires_at: Instant | None = None
    addresses: list[_TEXT] = Field(default=[], max_length=MAX_ADDRESSES)


class RotateKeyRequest(RequestModel):
    """`overlap`: seconds for which the old key stays valid."""

    model_config = example({"overlap": 3600})

    overlap: float = Field(default=DEFAULT_OVERLAP, ge=0, le=MAX_OVERLAP)


@key_router.manage("/api/keys", method="GET")
async def list_keys(services: ServicesDep, caller: CallerDep) -> KeyList:
    """List all API keys by name, also revoked and expired ones. No response contains the text of an existing key."""
    return await services.operations.api_keys.list_keys(caller)


@key_router.manage(
    "/api/keys",
    method="POST",
    status_code=HTTPStatus.CREATED,
    problems=(HTTPStatus.CONFLICT,),
    dependencies=[Depends(mark_secret_response)],
)
async def create_key(services: ServicesDep, caller: CallerDep, body: CreateKeyRequest) -> CreatedKeyModel:
    """Create an API key. The response contains its text, which is not stored: nothing shows it again.

    409 if an active key has this name. A caller that is limited to tags can only create keys with the same limits.
    """
    tags = parse_tag_limits(body.tags)
    new = NewKey(body.name, body.role, tags, body.expires_at, tuple(body.addresses))
    return await services.operations.api_keys.create(new, caller)


@key_router.manage("/api/keys/{key_id}", method="GET")
async def get_key(services: ServicesDep, caller: CallerDep, key_id: KeyId) -> KeyModel:
    """Return an API key without its text."""
    return await services.operations.api_keys.get_key(key_id, caller)


@key_router.manage(
    "/api/keys/{key_id}/rotate",
    method="POST",
    status_code=HTTPStatus.CREATED,
    problems=(HTTPStatus.CONFLICT,),
    dependencies=[Depends(mark_secret_response)],
)
async def rotate_key(
    services: ServicesDep, caller: CallerDep, key_id: KeyId, body: RotateKeyRequest | None = None
) -> CreatedKeyModel:
    """Create a successor with the same rights. Both keys are valid for `overlap` seconds, then the old one ends.

    409 if the key is not active, or already has a successor.
    """
    overlap = (body or RotateKeyRequest()).overlap
    return await services.operations.api_keys.rotate(key_id, caller, overlap=overlap)


@key_router.manage("/api/keys/{key_id}", status_code=HTTPStatus.NO_CONTENT, problems=(HTTPStatus.CONFLICT,))
async def revoke_key(services: ServicesDep, caller: CallerDep, key_id: KeyId) -> None:
    """End an API key: every process rejects it within seconds. The key stays in the list."""
    await services.operations.api_keys.revoke(key_id, caller)


async def start_cookie_session(
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


async def end_cookie_session(request: Request, services: Services, response: Response) -> None:
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


session_router = ApiRouter("session", by_tag=True)


@session_router.sign_in("POST", "/api/session", status_code=HTTPStatus.CREATED, problems=(HTTPStatus.CONFLICT,))
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
    started = await start_cookie_session(request, services, caller, response)
    return _describe_caller(started, services)


@session_router.read("/api/session")
async def get_session(request: Request, services: ServicesDep) -> SessionModel:
    """Return the caller: its role, its tags, and when its session or its credential ends."""
    caller: Authenticated = request.scope["state"]["authenticated"]
    return _describe_caller(caller, services)


@session_router.sign_in("DELETE", "/api/session", status_code=HTTPStatus.NO_CONTENT, problems=(HTTPStatus.CONFLICT,))
async def delete_session(request: Request, services: ServicesDep, response: Response) -> None:
    """End the session of the cookie. Without a session nothing changes."""
    await end_cookie_session(request, services, response)


def _describe_caller(caller: Authenticated, services: Services) -> SessionModel:
    sessions, principal = services.authentication.sessions, caller.principal
    return SessionModel(
        principal=principal.id,
        role=principal.role,
        tags=format_tag_limits(principal.tags),
        ends_at=caller.valid_until,
        idle_seconds=sessions.rules.idle if sessions is not None and caller.session_id else None,
    )


def _headers_of(error: AuthenticationError) -> dict[str, str] | None:
    return {"WWW-Authenticate": INVALID_CHALLENGE} if isinstance(error, InvalidCredential) else None


def _status_of(error: AuthenticationError) -> HTTPStatus:
    if isinstance(error, AuthenticationUnavailable):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.FORBIDDEN if isinstance(error, RoleMissing) else HTTPStatus.UNAUTHORIZED


# Not for callers that are limited to tags.
browser_session_router = ApiRouter("session")

SessionHandle = Annotated[
    str, Path(max_length=50, description="The session's `id` in the list", examples=["9f86d081884c"])
]


@browser_session_router.manage("/api/sessions", method="GET")
async def list_sessions(services: ServicesDep) -> BrowserSessionList:
    """List the sessions of browsers that have not ended, by principal. No response contains the cookie of one."""
    return await services.operations.sessions.list_sessions()


@browser_session_router.manage("/api/sessions/{session_id}", status_code=HTTPStatus.NO_CONTENT)
async def end_session(services: ServicesDep, caller: CallerDep, session_id: SessionHandle) -> None:
    """End the session of a browser: every process rejects it within seconds."""
    await services.operations.sessions.end(session_id, caller)
