"""Lets reads of the API take turns, so that many of them together leave the event loop to the runs. A middleware; added
by scheduler.api.dress.

A list of 500 runs keeps the loop for a tenth of a second. One at a time is not felt; 300 at once stopped everything for
half a minute, health included. Health, pings and whatever changes something do not wait here.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.requests.refusing import refuse

AT_ONCE = 2
"""Reads that are answered at the same time: one may wait for the store while another one is written."""
MOST_WAITING = 200
"""Reads that wait for their turn. Clients that left are among them."""
LONGEST_TURN = 2.0
"""Seconds. A read that waits for a store that hangs must not keep the others waiting."""
LONGEST_REST = 0.5
"""Seconds that a place stays empty after a read, at most: as long as the read took."""

_READS = frozenset({"GET", "HEAD"})
_ALWAYS = ("/api/health", "/api/status", "/api/ping/")


class ReadTurns:
    """Answers 503 when too many wait."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _READS or scope["path"].startswith(_ALWAYS):
            await self._app(scope, receive, send)
            return
        if self._waiting >= MOST_WAITING:
            detail = f"{MOST_WAITING} requests wait for their turn: ask again in a few seconds, and for fewer at once."
            await refuse(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after="5")
            return
        self._waiting += 1
        try:
            await self._places.acquire()
        except asyncio.CancelledError:
            # uvicorn cancels what is open when it ends, and would log each of these as an error with its traceback.
            await refuse(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, "The program is stopping.", retry_after="5")
            return
        finally:
            self._waiting -= 1
        await self._take_turn(scope, receive, send)

    async def _take_turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        too_long = loop.call_later(LONGEST_TURN, self._places.release)
        try:
            await self._app(scope, receive, send)
        finally:
            if loop.time() - began < LONGEST_TURN:
                too_long.cancel()
                rest = min(loop.time() - began, LONGEST_REST)
                if self._waiting:
                    loop.call_later(rest, self._places.release)
                else:
                    self._places.release()
