"""Limits concurrent reads of the API, so that runs get the event loop. A middleware added by
scheduler.api.middleware.common.

A list of 500 runs occupies the loop for a tenth of a second; 300 such requests at once blocked everything for half a
minute, including health. Health, pings and requests that change something are not limited.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.requests.rejection import reject
from scheduler.api.scopes import HEALTH_PATH, PING_PATH_PREFIX

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
_UNLIMITED_PATHS = (HEALTH_PATH, "/api/status", PING_PATH_PREFIX)


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
            or scope["path"].startswith(_UNLIMITED_PATHS)
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
