"""One method per trigger of function_app.

While the program cannot be opened, timer and queue functions fail with the cause, and the platform logs it and retries;
HTTP functions answer with 503 and the cause.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import azure.functions as func
    from starlette.applications import Starlette

    from scheduler.hosts.functions.program import ProgramLoader


TICK_RELOAD_TIMEOUT = 5.0
"""Seconds that a tick waits for job files, far less than it plans ahead."""
TICK_DELIVERY_TIME = timedelta(seconds=20)
BATCH_DELIVERY_TIME = timedelta(seconds=10)
"""For notifications; the next tick delivers what is left."""


class FunctionsHost:
    """Passes each trigger to the program.

    Every method except `handle_http` also raises the errors of ProgramLoader.load.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._program_loader: ProgramLoader | None = None
        self._api: Starlette | None = None

    async def tick(self, context: func.Context | None = None) -> None:
        """Plan until shortly after the next tick; then do the periodic work."""
        with _in_invocation(context):
            await self._tick()

    async def _tick(self) -> None:
        from scheduler.dispatch.port import DispatchError

        opened = await self._get_loader().load()
        program, work = opened.program, opened.timer_handler
        retention = program.settings.retention
        await opened.reload_jobs(0.0, TICK_RELOAD_TIMEOUT)
        await program.secret_monitor.check_versions()
        try:
            await work.plan_ahead_with_retry()
            await work.resend_stranded()
            await work.publish_unacknowledged()
            await work.prune(retention.age, retention.runs_per_job, program.settings.rollups.age)
            await program.stored_job_parts.sweeper.sweep(program.clock.now(), program.settings.deleted_jobs.age)
            await program.audit_upkeep.tick()
            await program.state_upkeep.tick()
            await program.change_announcer.tick()
        except DispatchError:
            # Nothing else reports an unavailable queue before two ticks are missed. (The store reports its failures,
            # and
            # a watchdog that waits for a store that hangs would delay the next tick.)
            await program.watchdog.make_report()
            raise
        await program.watchdog.make_report()
        await program.alerting.run_once(TICK_DELIVERY_TIME, is_tick=True)
        await program.self_watch.tick()

    async def perform_batch(
        self, body: bytes, delivery: int = 1, context: func.Context | None = None, sent_at: datetime | None = None
    ) -> None:
        """Perform a batch. `delivery`: how often its message was delivered, including this time. `sent_at`: when the
        message was sent.

        Raises BadMessage: the platform delivers the message again, and in the end to the poison queue.
        """
        with _in_invocation(context):
            opened = await self._get_loader().load()
            await opened.program.secret_monitor.check_versions()
            await opened.queue_handler.perform_batch(body, delivery, as_utc(sent_at))
            await opened.program.alerting.run_once(BATCH_DELIVERY_TIME, is_tick=False)

    async def dead_letter_poison(
        self, body: bytes, poisoned_at: datetime | None, context: func.Context | None = None
    ) -> None:
        """Store a poison message as dead letters. `poisoned_at`: when it reached the poison queue."""
        with _in_invocation(context):
            await (await self._get_loader().load()).queue_handler.dead_letter_poison(body, as_utc(poisoned_at))

    async def secrets_changed(self, kind: str, data: Mapping[str, object], context: func.Context | None = None) -> None:
        """Handle an event of the vault. Raises StoreError: the platform delivers it again."""
        from scheduler.hosts.functions.secret_events import handle_vault_event

        with _in_invocation(context):
            program = (await self._get_loader().load()).program
            await handle_vault_event(program.secret_monitor, program.settings.key_vault_url, kind, data)

    async def handle_http(self, request: func.HttpRequest, context: func.Context | None) -> func.HttpResponse:
        """Answer with the API, or with 503 and the cause while the program cannot be opened."""
        import azure.functions as func

        from scheduler.hosts.functions.liveness import is_liveness_request, liveness_response

        if self._api is None and is_liveness_request(request):
            return liveness_response(request)
        # Imported here: it needs Starlette, which a liveness response does not.
        from scheduler.hosts.functions.http_apps import with_trace_parent

        with _in_invocation(context):
            api = await self._get_api()
            traced = with_trace_parent(
                api, context.trace_context.trace_parent if context and context.trace_context else ""
            )
            response: func.HttpResponse = await func.AsgiMiddleware(traced).handle_async(request, context)
            return response

    async def aclose(self) -> None:
        """Close the program. For tests: the platform only ends the process."""
        if self._program_loader is not None:
            await self._program_loader.aclose()
        self._program_loader = self._api = None

    async def _get_api(self) -> Starlette:
        if self._api is not None:
            return self._api
        from scheduler.api.scopes import serves_anonymous_functions
        from scheduler.hosts.functions.http_apps import unavailable_api

        try:
            program = (await self._get_loader().load()).program
        except Exception as error:
            return unavailable_api(error, is_public=serves_anonymous_functions(self._environ))
        from scheduler.api.app import create_api

        self._api = self._api or create_api(program)
        return self._api

    def _get_loader(self) -> ProgramLoader:
        if self._program_loader is None:
            from scheduler.hosts.functions.program import ProgramLoader

            self._program_loader = ProgramLoader(self._environ)
        return self._program_loader


def as_utc(instant: datetime | None) -> datetime | None:
    """Return an instant of the platform's metadata as UTC: azure.functions removes the offset of those with one."""
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant


def _in_invocation(context: func.Context | None) -> AbstractContextManager[None]:
    """Mark the block as part of this invocation; see observability.invocations."""
    from observability.invocations import Invocation, run_in_invocation

    if context is None:
        return run_in_invocation(Invocation())
    trace = context.trace_context
    return run_in_invocation(
        Invocation(context.invocation_id or "", (trace.trace_parent if trace is not None else None) or "")
    )
