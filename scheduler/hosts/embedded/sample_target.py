"""A target on loopback for the sample jobs: healthy, slow, flaky, failing. Served in environment `dev` only.

With it, the first minute of `./dev run` shows every outcome without internet.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

SAMPLE_PORT = 7072
MAX_SLEEP = 30.0
"""Maximum number of seconds that /slow sleeps."""


class SampleTarget:
    """The routes, and the number of requests to /flaky by job."""

    def __init__(self) -> None:
        self._request_counts: Counter[str] = Counter()
        self._closed = asyncio.Event()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthy", self._delayed_response(0.0, {"status": "ok"})),
                Route("/database", self._delayed_response(0.02, {"status": "ok", "connections": 12})),
                Route("/external", self._delayed_response(0.12, {"status": "ok", "region": "westeurope"})),
                Route("/container", self._delayed_response(0.05, {"status": "ok", "replicas": 3})),
                Route("/json", self._delayed_response(0.01, {"status": "degraded", "queue": {"depth": 42}})),
                Route("/failing", self._failing),
                Route("/flaky", self._flaky),
                Route("/slow", self._slow),
            ]
        )

    def close(self) -> None:
        """Answer slow requests now, because the server is about to stop."""
        self._closed.set()

    @staticmethod
    def _delayed_response(seconds: float, body: dict[str, object]) -> Callable[[Request], Awaitable[JSONResponse]]:
        async def answer(_: Request) -> JSONResponse:
            await asyncio.sleep(seconds)
            return JSONResponse(body)

        return answer

    async def _failing(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "down", "reason": "the sample target fails here on purpose"}, 500)

    async def _flaky(self, request: Request) -> JSONResponse:
        """Answer 503 twice, then 200, for each `job` in the query."""
        job = request.query_params.get("job", "")
        self._request_counts[job] += 1
        if self._request_counts[job] % 3:
            return JSONResponse({"status": "starting"}, 503)
        return JSONResponse({"status": "ok"})

    async def _slow(self, request: Request) -> JSONResponse:
        try:
            seconds = float(request.query_params.get("seconds", "5"))
        except ValueError:
            return JSONResponse({"error": "seconds is a number"}, 400)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), min(max(0.0, seconds), MAX_SLEEP))
        return JSONResponse({"status": "ok"})
