"""Limits the requests of a principal, failed authentication of an address, and concurrent reads.

Health is not limited: it must answer a probe in any case, and costs little. Pings are not limited either: a lost ping
is a false alarm, and a thousand programs behind one address may send theirs in the same second. None of them counts
towards a limit of others. The number of connections and the reserve for health (scheduler.connections) apply to all.
The fields are those of draft-ietf-httpapi-ratelimit-headers.

Reads are limited so that runs get the event loop. A list of 500 runs occupies it for a tenth of a second; 300 such
requests at once blocked everything for half a minute, including health. Requests that change something are not limited.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.middleware.requests import find_client_network, find_limited_client, reject
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
    """Return the group of the scope of the request's route, which scheduler.api.access has found.

    A POST that reads judges a document of up to a MiB, so it counts as the other POSTs.
    """
    by_method = _GROUP_OF_METHOD.get(scope["method"], LimitGroup.READ)
    group = _GROUP_OF_SCOPE.get(scope["state"].get("route_scope"), by_method)
    return by_method if group is LimitGroup.READ else group


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


CONCURRENT_READS = 2
"""Concurrent reads: one can wait for the store while another one is serialized."""
MAX_WAITING_READS = 200
"""Reads that can wait, including those of disconnected clients."""
MAX_READ_SECONDS = 2.0
"""Seconds after which a read no longer blocks others, in case the store hangs."""
MAX_REST_SECONDS = 0.5
"""Maximum seconds that the slot of a read stays free afterwards. It stays free as long as the read occupied the event
loop, if other reads wait."""

_READ_METHODS = frozenset({"GET", "HEAD"})
_PATHS_OF_FREE_READS = (HEALTH_PATH, "/api/status", PING_PATH_PREFIX)


class ReadLimiter:
    """Answers 503 when too many reads wait."""

    def __init__(self, app: ASGIApp, loop_time: Callable[[], float] = time.thread_time) -> None:
        """`loop_time`: CPU seconds of the event loop's thread. On a busy machine a read lasts longer than it works."""
        self._app = app
        self._loop_time = loop_time
        self._semaphore = asyncio.Semaphore(CONCURRENT_READS)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] not in _READ_METHODS
            or scope["path"].startswith(_PATHS_OF_FREE_READS)
        ):
            await self._app(scope, receive, send)
            return
        if self._waiting >= MAX_WAITING_READS:
            detail = (
                f"{MAX_WAITING_READS} read requests are already waiting. Retry in a few seconds, with fewer at once."
            )
            await reject(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after="5")
            return
        self._waiting += 1
        try:
            await self._semaphore.acquire()
        except asyncio.CancelledError:
            # uvicorn cancels open requests when it stops, and would log each as an error with a traceback.
            await reject(
                scope,
                send,
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The scheduler is stopping. Retry after its restart.",
                retry_after="5",
            )
            return
        finally:
            self._waiting -= 1
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        too_long = loop.call_later(MAX_READ_SECONDS, self._semaphore.release)
        read = _MeteredCoroutine(self._app(scope, receive, send), self._loop_time)
        try:
            await read
        finally:
            if loop.time() - began < MAX_READ_SECONDS:
                too_long.cancel()
                if self._waiting:
                    loop.call_later(min(read.seconds, MAX_REST_SECONDS), self._semaphore.release)
                else:
                    self._semaphore.release()


class _MeteredCoroutine:
    """Adds up the time of the steps of a coroutine, without the time between them. Its tasks are not counted."""

    def __init__(self, work: Awaitable[None], loop_time: Callable[[], float]) -> None:
        self.seconds = 0.0
        self._steps = work.__await__()
        self._loop_time = loop_time

    def __await__(self) -> Generator[Any, Any, None]:
        step: Callable[[Any], Any] = self._send
        value: Any = None
        while True:
            began = self._loop_time()
            try:
                awaited = step(value)
            except StopIteration:
                return
            finally:
                self.seconds += self._loop_time() - began
            try:
                step, value = self._send, (yield awaited)
            except BaseException as error:
                step, value = self._throw, error

    def _send(self, value: Any) -> Any:
        return self._steps.send(value)

    def _throw(self, error: BaseException) -> Any:
        return self._steps.throw(error)
