"""The HTTP servers of the embedded host: of the API and of the sample target, with their listening sockets.

The sample target is a target on loopback for the sample jobs: healthy, slow, flaky, failing. It is served in
environment `dev` only. With it, the first minute of `./dev run` shows every outcome without internet.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from scheduler.connections.protocol import BoundedProtocol
from scheduler.connections.register import ConnectionRegister

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


ACCEPT_BACKLOG = 256
"""Connections that wait to be accepted. All are accepted before any is closed because of the limit."""


class PortInUse(Exception):
    """Another process uses the address; the message names it and the remedy."""


@contextmanager
def open_listener(host: str, port: int) -> Iterator[socket.socket]:
    """Open a listening socket, before any other part, so that a second start fails at once.

    Clients that connect early wait until the program is ready. Raises PortInUse.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            # Two processes can bind one address until one of them listens: only `listen` fails in the other.
            listener.listen(ACCEPT_BACKLOG)
        except OSError as error:
            raise PortInUse(
                f"cannot listen on {host}:{port} ({error.strerror}): choose another port with --port"
            ) from error
        listener.setblocking(False)
        yield listener


@contextmanager
def open_sample_listener() -> Iterator[socket.socket]:
    """Open a socket for the sample target on its default port, or on a free one if that is in use."""
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(open_listener("127.0.0.1", SAMPLE_PORT))
        except PortInUse:
            listener = stack.enter_context(open_listener("127.0.0.1", 0))
        yield listener


def listener_url(listener: socket.socket) -> str:
    """Return the URL of the socket; on loopback if it listens on every address."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


SAMPLE_TARGET_CONNECTIONS = 50
"""Maximum number of connections of the sample target."""
HTTP_SHUTDOWN_TIMEOUT = 1
"""Seconds for responses in progress when the server stops."""
SERVER_TICK_INTERVAL = 1.0
"""Seconds between two sweeps of slow connections, and between two updates of the `Date` header."""


class EmbeddedServer(uvicorn.Server):
    """A server without signal handlers: the host drains the worker first, while the API still responds.

    Its loop wakes up once a second, for the `Date` header and for slow connections. uvicorn's own loop polls ten times
    a second, which was most of the CPU of an idle program.
    """

    def __init__(self, config: uvicorn.Config, register: ConnectionRegister) -> None:
        super().__init__(config)
        self._register = register
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Stop the server after the responses in progress."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # 0: renew the date
            self._register.check_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), SERVER_TICK_INTERVAL)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def create_server(app: Callable[..., Any], register: ConnectionRegister) -> EmbeddedServer:
    protocol = cast("type[asyncio.Protocol]", partial(BoundedProtocol, register=register))
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # uvicorn would believe X-Forwarded-For of any client on loopback
        timeout_graceful_shutdown=HTTP_SHUTDOWN_TIMEOUT,
        backlog=ACCEPT_BACKLOG,
    )
    return EmbeddedServer(config, register)


@asynccontextmanager
async def serve_sample_target(listener: socket.socket | None) -> AsyncIterator[None]:
    """Serve the sample target while the block runs, if it has a socket."""
    if listener is None:
        yield
        return
    target = SampleTarget()
    server = create_server(target.app(), ConnectionRegister(SAMPLE_TARGET_CONNECTIONS))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        target.close()
        server.stop()
        await serving
