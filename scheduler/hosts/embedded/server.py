"""The HTTP servers of the embedded host: of the API and of the sample target. Called by host."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, cast

import uvicorn

from scheduler.connections.protocol import BoundedProtocol
from scheduler.connections.register import ConnectionRegister
from scheduler.hosts.embedded.listeners import ACCEPT_BACKLOG
from scheduler.hosts.embedded.sample_target import SampleTarget

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
