"""What the embedded host serves: the health routes at once, everything else from the first time that it is asked for.

Many programs are asked by probes alone, day and night. FastAPI, the routes and their models take some 8 MiB, the
dashboard 6 more, which such a program does without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.dress import add_dress
from scheduler.api.health_answers import health_answer
from scheduler.api.live import LIVE_BODY, LIVE_PATH

if TYPE_CHECKING:
    from pydantic import BaseModel

    from scheduler.services import Services

_ROUTES = frozenset({"/api/health", LIVE_PATH, "/api/health/ready"})


class EarlyApi:
    """An ASGI app that answers as the whole API does."""

    def __init__(self, services: Services, *, hosts: Sequence[str], made: Callable[[], None]) -> None:
        """`hosts`: see scheduler.api.app.create_api. `made`: told on the loop once the whole API is there."""
        self._services = services
        self._hosts = hosts
        self._made = made
        self._early = _health_alone(services, hosts)
        self._whole: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_early = scope["type"] == "http" and scope["path"] in _ROUTES and scope["method"] in ("GET", "HEAD")
        app = self._whole or (self._early if is_early else await self._all())
        await app(scope, receive, send)

    async def _all(self) -> ASGIApp:
        """The whole API, made in a thread: runs start meanwhile."""
        async with self._making:
            if self._whole is None:
                self._whole = await asyncio.to_thread(self._create)
                self._made()
            return self._whole

    def _create(self) -> ASGIApp:
        from scheduler.api.app import create_api

        return create_api(self._services, hosts=self._hosts)


def _health_alone(services: Services, hosts: Sequence[str]) -> Starlette:
    """The routes of health_routes that probes ask, without keys."""

    async def live(_: Request) -> Response:
        return Response(LIVE_BODY, media_type="application/json")

    async def health(_: Request) -> Response:
        return _json(*await health_answer(services))

    answering: dict[str, Callable[[Request], Awaitable[Response]]] = dict.fromkeys(_ROUTES, health)
    answering[LIVE_PATH] = live
    app = Starlette(routes=[Route(path, answer) for path, answer in answering.items()])
    add_dress(app, hosts)
    return app


def _json(model: BaseModel, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(), status, headers, "application/json")
