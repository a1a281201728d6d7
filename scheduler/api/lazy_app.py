"""Serves the health routes at once, and creates the full API at the first other request or at `warm_up`. Used by
scheduler.hosts.embedded.host.

Importing FastAPI, the routes and their models takes half a second, which the start of a process does not wait for.
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
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from scheduler.api.declared_routes import DeclaredRoute
from scheduler.api.health import create_health_response, shows_messages
from scheduler.api.middleware.stack import add_common_middleware
from scheduler.api.scopes import HEALTH_PATHS, LIVE_BODY, LIVE_PATH, Scope

if TYPE_CHECKING:
    from fastapi import FastAPI
    from pydantic import BaseModel

    from scheduler.services import Services


class LazyApi:
    """An ASGI app that responds like the full API."""

    def __init__(self, services: Services, *, hosts: Sequence[str], on_created: Callable[[], None]) -> None:
        """`hosts`: see scheduler.api.app.create_api.

        `on_created`: called on the event loop once the full API exists.
        """
        self._services = services
        self._hosts = hosts
        self._on_created = on_created
        self._health_app = _create_health_app(services, hosts)
        self._full: FastAPI | None = None
        self._creation_lock = asyncio.Lock()
        self._is_requested = False

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        is_early = scope["type"] == "http" and scope["path"] in HEALTH_PATHS and scope["method"] in ("GET", "HEAD")
        self._is_requested |= not is_early
        app = self._full or (self._health_app if is_early else await self._full_app())
        await app(scope, receive, send)

    async def warm_up(self, *, prepares_overview: bool = True) -> None:
        """Create the full API, and prepare the overview, so that its first page is not slower than others.

        The overview is not prepared if a request came first: it would wait for the same work twice. Nor where each
        request of the store costs: it has eight for a job.
        """
        api = await self._full_app()
        if prepares_overview and not self._is_requested:
            from scheduler.api.dashboard.readers import prepare_overview

            await prepare_overview(api, self._services)

    async def _full_app(self) -> FastAPI:
        """Return the full API, created in a thread so that runs start meanwhile."""
        async with self._creation_lock:
            if self._full is None:
                self._full = await asyncio.to_thread(self._create)
                self._on_created()
            return self._full

    def _create(self) -> FastAPI:
        from scheduler.api.app import create_api

        return create_api(self._services, hosts=self._hosts)


def _create_health_app(services: Services, hosts: Sequence[str]) -> Starlette:
    """Create an app with only the routes of health probes."""

    async def live(_: Request) -> Response:
        return Response(LIVE_BODY, media_type="application/json")

    async def health(request: Request) -> Response:
        with_messages = shows_messages(services, request)
        return _json_response(*await create_health_response(services, with_messages=with_messages))

    answering: dict[str, Callable[[Request], Awaitable[Response]]] = dict.fromkeys(HEALTH_PATHS, health)
    answering[LIVE_PATH] = live
    app = Starlette(routes=[Route(path, answer) for path, answer in answering.items()])
    declared = [DeclaredRoute(Scope.PUBLIC, "GET", path) for path in HEALTH_PATHS]
    add_common_middleware(app, hosts, services=services, routes=declared)
    return app


def _json_response(model: BaseModel, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(), status, headers, "application/json")
