"""The program of the Functions host, with what only it has. Opened by scheduler.hosts.functions.program_loader."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from config.errors import ConfigurationError
from config.loading import Configuration
from config.settings.model import Settings
from jobs.checks.addresses import OwnEndpoint
from jobs.problems import Problem
from jobs.runs import Ticket
from scheduler.app import EarlyTelemetry, Program, open_program
from scheduler.app.authentication_setup import (
    IdentityMissing,
    choose_functions_mode,
    require_identity,
)
from scheduler.app.profile import HostProfile
from scheduler.app.reloader_setup import open_reloader
from scheduler.authentication.port import AuthenticationMode
from scheduler.catalog.reloading import JobReloader
from scheduler.dispatch.port import Dispatch, QueueDepthReader
from scheduler.hosts.functions.changed_jobs import ChangedJobPlanner
from scheduler.hosts.functions.own_endpoints import functions_endpoints
from scheduler.hosts.functions.queue import QueueHandler
from scheduler.hosts.functions.storage_queue import open_queue, open_queue_depth
from scheduler.hosts.functions.tick_health import last_tick_reader, tick_probe
from scheduler.hosts.functions.timer import TimerHandler
from scheduler.worker.options import FUNCTIONS_OPTIONS


class FunctionsProfile(HostProfile):
    """One of many processes that share tables and a queue."""

    worker_options = FUNCTIONS_OPTIONS
    shares_queue = True

    def own_endpoints(self, settings: Settings) -> tuple[OwnEndpoint, ...]:
        return functions_endpoints(os.environ, sys.argv)

    def is_on_loopback(self, settings: Settings) -> bool:
        """See HostProfile.is_on_loopback."""
        return False

    def authentication_mode(self, settings: Settings) -> AuthenticationMode:
        """See HostProfile.authentication_mode."""
        return choose_functions_mode(settings)

    def log_stream(self) -> None:
        """The worker's own handlers pass records on to the host."""

    async def open_queue(
        self, program: Program, submit: Callable[[Ticket], object]
    ) -> tuple[Dispatch, QueueDepthReader]:
        """See HostProfile.open_queue. Every ticket goes through the queue, also those for this process."""
        dispatch = await open_queue(program.settings, program.identity, program.clock)
        program.stack.push_async_callback(dispatch.aclose)
        depths = await open_queue_depth(program.settings, program.identity, program.clock)
        program.stack.push_async_callback(depths.aclose)
        return dispatch, depths


@dataclass(frozen=True, slots=True)
class FunctionsProgram:
    program: Program
    job_reloader: JobReloader
    timer_handler: TimerHandler
    queue_handler: QueueHandler

    async def reload_jobs(self, max_age: float, time_limit: float) -> None:
        """Put changed job files and stored jobs in force: see JobReloader.reload_within."""
        await _reload_jobs(self.program, self.job_reloader, max_age, time_limit)


async def _reload_jobs(program: Program, reloading: JobReloader, max_age: float, time_limit: float) -> None:
    await asyncio.gather(
        reloading.reload_within(max_age, time_limit),
        program.stored_job_parts.watcher.refresh_within(max_age, time_limit),
    )


@asynccontextmanager
async def open_functions_program(
    configuration: Configuration, telemetry: EarlyTelemetry
) -> AsyncIterator[FunctionsProgram]:
    """Open the program and the host's own parts; leaving closes them.

    Raises ConfigurationError: there is no identity. Raises StoreError, DispatchError.
    """
    async with AsyncExitStack() as stack:
        program = await stack.enter_async_context(open_program(configuration, FunctionsProfile(), telemetry=telemetry))
        try:
            await require_identity(program)
        except IdentityMissing as error:
            raise ConfigurationError([Problem("http.authentication", str(error))]) from None
        await program.check_setup.prepare_jobs()
        reloading = await stack.enter_async_context(open_reloader(configuration, program))
        tick_work = _build_timer_handler(program)
        program.stored_job_parts.committer.plan_change = _build_change_planner(program).plan
        program.watchdog.set_tick_source(last_tick_reader(tick_work.planned_until))
        program.health.add_probe("ticks", tick_probe(tick_work.planned_until, program.clock))
        yield FunctionsProgram(program, reloading, tick_work, _build_queue_handler(program, reloading))


def _build_timer_handler(program: Program) -> TimerHandler:
    return TimerHandler(
        program.catalog,
        program.runs,
        program.worker,
        program.dispatch,
        program.repositories.cursors,
        program.repositories.schedule_activations,
        program.pauses,
        program.repositories.dead_letters,
        program.clock,
        program.prune_other_rows,
        program.telemetry.tick_planned,
    )


def _build_change_planner(program: Program) -> ChangedJobPlanner:
    return ChangedJobPlanner(
        program.catalog,
        program.dispatch,
        program.repositories.cursors,
        program.repositories.schedule_activations,
        program.pauses,
        program.clock,
    )


def _build_queue_handler(program: Program, reloading: JobReloader) -> QueueHandler:
    return QueueHandler(
        program.catalog,
        program.runs,
        program.worker,
        program.dispatch,
        program.repositories.dead_letters,
        program.clock,
        owner=program.owner,
        reload=partial(_reload_jobs, program, reloading),
    )
