"""Limits the requests of a principal, and failed authentication of an address.

Added by scheduler.api.middleware.common.

Health is not limited: it must answer a probe in any case, and costs little. Pings are not limited either: a lost ping
is a false alarm, and a thousand programs behind one address may send theirs in the same second. None of them counts
towards a limit of others. The number of connections and the reserve for health (scheduler.connections) apply to all.

The fields are those of draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.requests.client_address import find_client_network
from scheduler.api.requests.client_id import find_limited_client
from scheduler.api.requests.rejection import reject
from scheduler.api.scopes import HEALTH_PATH, PING_PATH_PREFIX
from scheduler.api.scopes import Scope as RouteScope
from scheduler.rate_limits.limiter import LimitGroup, Quota, RateLimits

_GROUP_OF_SCOPE: Mapping[RouteScope, LimitGroup] = {
    RouteScope.METRICS: LimitGroup.READ,
    RouteScope.READ: LimitGroup.READ,
    RouteScope.OPERATE: LimitGroup.OPERATE,
    RouteScope.MANAGE: LimitGroup.MANAGE,
}
_GROUP_OF_METHOD: Mapping[str, LimitGroup] = {
    "POST": LimitGroup.OPERATE,
    "PUT": LimitGroup.MANAGE,
    "PATCH": LimitGroup.MANAGE,
    "DELETE": LimitGroup.MANAGE,
}
"""Of a request without a route, or of a route that needs no caller. Others are read requests."""
_UNLIMITED_PATHS = (f"{HEALTH_PATH}/", PING_PATH_PREFIX)


class RateLimiter:
    """Answers 429 to a principal that exceeds its limit. Inside of authentication, outside of the routes."""

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_limited(scope):
            await self._app(scope, receive, send)
            return
        quota = await self._limits.count(_group_of(scope), find_limited_client(scope))
        if quota is None:
            await self._app(scope, receive, send)
        elif quota.is_exceeded:
            await _reject(scope, send, quota, f"Too many {quota.group} requests of this principal")
        else:
            await self._app(scope, receive, _adding_fields(send, quota))


class FailedAuthenticationLimiter:
    """Answers 429 to invalid credentials of an address that sends too many. Outside of authentication.

    Valid credentials pass all the same: others may share the address. So each credential is verified, but one of a
    suspect address without a read of the store that is its own, and without a record.
    """

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_limited(scope):
            await self._app(scope, receive, send)
            return
        address = find_client_network(scope)
        blocked = self._limits.find_block(address)
        if blocked is not None:
            scope["state"] = {**(scope.get("state") or {}), _SUSPECT: True}
        is_replaced = False

        async def counting(message: Message) -> None:
            nonlocal is_replaced
            if _is_failure(message):
                quota = blocked or await self._limits.count(LimitGroup.FAILED_AUTHENTICATION, address)
                if quota is not None and quota.is_exceeded:
                    is_replaced = True
                    if blocked is None:
                        self._limits.block(address, quota)
                    await _reject(scope, send, quota, _FAILURES)
            if not is_replaced:
                await send(message)

        await self._app(scope, receive, counting)


_FAILURES = "Too many requests of this address failed authentication"
_SUSPECT = "is_suspect"
"""Member of the state of a request."""


def is_suspect(scope: Scope) -> bool:
    """Return whether the address of a request has failed authentication too often: a failure is answered 429."""
    return bool((scope.get("state") or {}).get(_SUSPECT))


def _is_limited(scope: Scope) -> bool:
    path = scope["path"]
    return scope["type"] == "http" and path != HEALTH_PATH and not path.startswith(_UNLIMITED_PATHS)


def _group_of(scope: Scope) -> LimitGroup:
    """Return the group of the scope of the request's route, which scheduler.api.access.control has found."""
    group = _GROUP_OF_SCOPE.get(scope["state"].get("route_scope"))
    return _GROUP_OF_METHOD.get(scope["method"], LimitGroup.READ) if group is None else group


def _is_failure(message: Message) -> bool:
    """Whether this is the start of a response to an invalid credential; a missing one is not an attempt."""
    return (
        message["type"] == "http.response.start"
        and message["status"] == HTTPStatus.UNAUTHORIZED
        and any(name == b"www-authenticate" and b"error=" in value for name, value in message["headers"])
    )


def _fields(quota: Quota) -> list[tuple[bytes, bytes]]:
    policy = f'"{quota.group}";q={quota.amount};w={quota.window}'
    state = f'"{quota.group}";r={quota.remaining};t={quota.reset_in}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]


def _adding_fields(send: Send, quota: Quota) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_fields(quota)]}
        await send(message)

    return adding


async def _reject(scope: Scope, send: Send, quota: Quota, problem: str) -> None:
    detail = f"{problem}: at most {quota.amount} in {quota.window} s are allowed. Retry in {quota.reset_in} s."
    await reject(
        scope,
        send,
        HTTPStatus.TOO_MANY_REQUESTS,
        detail,
        retry_after=str(quota.reset_in),
        headers=_fields(quota),
    )
