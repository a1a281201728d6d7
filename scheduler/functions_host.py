"""The program inside the Functions host. Called by function_app alone; everything heavy is imported at the first call.

One program a worker process, opened lazily under a lock (the platform runs no start-up code of ours and gives no
signal at the end), used by all functions on the worker's one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import azure.functions as func

    from config.loading import Configuration
    from scheduler.app import Program
    from scheduler.queue_work import QueueWork

ROOT = Path(__file__).resolve().parent.parent

_log = logging.getLogger("scheduler.functions_host")


class FunctionsHost:
    """Opens the program once and hands each trigger to it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._program: Program | None = None
        self._asgi: Any = None

    async def tick(self) -> None:
        """Plan what falls due until a little after the next tick."""
        await (await self._work()).plan_ahead()

    async def work(self, body: bytes) -> None:
        """Perform a batch. Raises BadMessage: the platform delivers it again, and at last to the poison queue."""
        await (await self._work()).perform_batch(body)

    async def bury(self, body: bytes) -> None:
        """Keep a poison message as dead letters."""
        await (await self._work()).bury(body)

    async def http(self, request: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        """Answer by the ASGI app."""
        program = await self._opened()
        if self._asgi is None:
            import azure.functions as func

            from scheduler.api.app import create_api

            self._asgi = func.AsgiMiddleware(create_api(program.services()))
        response: func.HttpResponse = await self._asgi.handle_async(request, context)
        return response

    async def aclose(self) -> None:
        """Close the program; for tests, as the platform only ever ends the process."""
        async with self._lock:
            self._program = self._asgi = None
            await self._stack.aclose()

    async def _opened(self) -> Program:
        if self._program is not None:
            return self._program
        async with self._lock:
            if self._program is None:
                from scheduler.app import Role, open_program

                # Reading files is quick, yet a folder on a share may not be: keep it off the loop.
                configuration = await asyncio.to_thread(_load)
                self._program = await self._stack.enter_async_context(open_program(configuration, role=Role.FUNCTIONS))
            return self._program

    async def _work(self) -> QueueWork:
        work = (await self._opened()).queue_work
        assert work is not None, "the Functions host opens the program with its queue"
        return work


def _load() -> Configuration:
    from config.errors import ConfigurationError
    from config.loading import load_configuration

    try:
        return load_configuration(os.environ, root=ROOT)
    except ConfigurationError as error:
        _log.error("the configuration has %d problems, nothing runs:\n%s", len(error.problems), error)
        raise


host = FunctionsHost()
