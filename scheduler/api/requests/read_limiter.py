"""Lets reads of the API take turns, so that many of them together leave the event loop to the runs. A middleware; added
by scheduler.api.middleware.common.

A list of 500 runs keeps the loop for a tenth of a second. One at a time is not felt; 300 at once stopped everything for
half a minute, health included. Health, pings and whatever changes something do not wait here.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.requests.rejection import reject

CONCURRENT_READS = 2
"""Reads that are answered at the same time: one may wait for the store while another one is written."""
MAX_WAITING_READS = 200
"""Reads that wait for their turn. Clients that left are among them."""
MAX_READ_SECONDS = 2.0
"""Seconds. A read that waits for a store that hangs must not keep the others waiting."""
MAX_REST_SECONDS = 0.5
"""Seconds that a place stays empty after a read, at most: as long as the read took."""

_READ_METHODS = frozenset({"GET", "HEAD"})
_UNLIMITED_PATHS = ("/api/health", "/api/status", "/api/ping/")


class ReadLimiter:
    """Answers 503 when too many wait."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
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
                f"{MAX_WAITING_READS} requests wait for their turn: ask again in a few seconds, and for fewer at once."
            )
            await reject(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after="5")
            return
        self._waiting += 1
        try:
            await self._semaphore.acquire()
        except asyncio.CancelledError:
            # uvicorn cancels what is open when it ends, and would log each of these as an error with its traceback.
            await reject(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, "The program is stopping.", retry_after="5")
            return
        finally:
            self._waiting -= 1
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        too_long = loop.call_later(MAX_READ_SECONDS, self._semaphore.release)
        try:
            await self._app(scope, receive, send)
        finally:
            if loop.time() - began < MAX_READ_SECONDS:
                too_long.cancel()
                rest = min(loop.time() - began, MAX_REST_SECONDS)
                if self._waiting:
                    loop.call_later(rest, self._semaphore.release)
                else:
                    self._semaphore.release()
