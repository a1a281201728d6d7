"""One method a trigger of function_app. While the program cannot be opened, timer and queue functions fail with the
reason, which the platform logs and answers by trying again, and HTTP functions answer with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import azure.functions as func
    from starlette.applications import Starlette

    from scheduler.hosts.functions.program_loader import Opening


FILES_PATIENCE = 5.0
"""Seconds that a tick waits for the job files, far less than it plans ahead."""


class FunctionsHost:
    """Hands each trigger to the program.

    Every method but `http` also raises what keeps the program from being opened, see Opening.program.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._opening: Opening | None = None
        self._api: Starlette | None = None

    async def tick(self, context: func.Context | None = None) -> None:
        """Plan what falls due until a little after the next tick; then do what is to be done now and then."""
        with _running(context):
            await self._tick()

    async def _tick(self) -> None:
        from scheduler.dispatch.port import DispatchError

        opened = await self._opener().program()
        program, work = opened.program, opened.tick_work
        retention = program.settings.retention
        await opened.reloading.look_briefly(0.0, FILES_PATIENCE)
        await program.secret_watch.look()
        try:
            await work.plan_ahead_over_a_stall()
            await work.send_stranded()
            await work.tell_untold()
            await work.prune(retention.age, retention.runs_per_job)
        except DispatchError:
            # Nothing else would tell that the queue is away before two ticks were missed. (A store that is away tells
            # it itself, and a look at one that hangs would keep the next tick waiting.)
            await program.watchdog.look()
            raise
        await program.watchdog.look()

    async def work(self, body: bytes, delivery: int = 1, context: func.Context | None = None) -> None:
        """Perform a batch. `delivery`: how often its message came, this time included.

        Raises BadMessage: the platform delivers it again, and at last to `bury`.
        """
        with _running(context):
            opened = await self._opener().program()
            await opened.program.secret_watch.look()
            await opened.queue_work.perform_batch(body, delivery)

    async def bury(self, body: bytes, given_up_at: datetime | None, context: func.Context | None = None) -> None:
        """Keep a poison message as dead letters. `given_up_at`: when it came into the poison queue."""
        with _running(context):
            await (await self._opener().program()).queue_work.bury(body, given_up_at)

    async def secrets_changed(self, kind: str, data: Mapping[str, object], context: func.Context | None = None) -> None:
        """Take an event of the vault. Raises StoreError: the platform delivers it again."""
        from scheduler.hosts.functions.secret_events import take

        with _running(context):
            program = (await self._opener().program()).program
            await take(program.secret_watch, program.settings.key_vault_url, kind, data)

    async def http(self, request: func.HttpRequest, context: func.Context | None) -> func.HttpResponse:
        """Answer by the API, or with 503 and the reason while the program cannot be opened."""
        import azure.functions as func

        from scheduler.hosts.functions.liveness import asks_whether_live, live_answer

        if self._api is None and asks_whether_live(request):
            return live_answer(request)
        # Only now: it imports Starlette, which a liveness answer does without.
        from scheduler.hosts.functions.trace_context import within_trace

        with _running(context):
            api = await self._api_for()
            traced = within_trace(api, context.trace_context.trace_parent if context and context.trace_context else "")
            response: func.HttpResponse = await func.AsgiMiddleware(traced).handle_async(request, context)
            return response

    async def aclose(self) -> None:
        """Close the program; for tests, as the platform only ever ends the process."""
        if self._opening is not None:
            await self._opening.aclose()
        self._opening = self._api = None

    async def _api_for(self) -> Starlette:
        if self._api is not None:
            return self._api
        from scheduler.hosts.functions.unavailable import closed_api

        try:
            program = (await self._opener().program()).program
        except Exception as error:
            return closed_api(error)
        from scheduler.api.app import create_api

        self._api = self._api or create_api(program.services(), keyed=True)
        return self._api

    def _opener(self) -> Opening:
        if self._opening is None:
            from scheduler.hosts.functions.program_loader import Opening

            self._opening = Opening(self._environ)
        return self._opening


def _running(context: func.Context | None) -> AbstractContextManager[None]:
    """Mark what follows as part of this invocation; see observability.invocations."""
    from observability.invocations import Invocation, running

    if context is None:
        return running(Invocation())
    trace = context.trace_context
    return running(Invocation(context.invocation_id or "", (trace.trace_parent if trace is not None else None) or ""))
