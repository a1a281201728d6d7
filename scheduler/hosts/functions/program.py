"""The program of the Functions host, with what only it has. Opened by scheduler.hosts.functions.program_loader."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from config.loading import Configuration
from config.settings import Settings
from jobs.checks.own_places import OwnPlace
from jobs.runs import Ticket
from scheduler.app import Program, StartTelemetry, open_program
from scheduler.app.foundation import Foundation
from scheduler.app.profile import HostProfile
from scheduler.app.reloader_setup import open_reloader
from scheduler.dispatch.port import Depths, Dispatch
from scheduler.hosts.functions.own_places import functions_places
from scheduler.hosts.functions.storage_queue import open_depth, open_queue
from scheduler.hosts.functions.tick_health import last_tick_of, ticks_health
from scheduler.queue_work import QueueWork
from scheduler.reloading import Reloading
from scheduler.tick_work import TickWork
from scheduler.work.options import FUNCTIONS


class FunctionsProfile(HostProfile):
    """One of many processes that share tables and a queue."""

    worker_options = FUNCTIONS
    shares_queue = True

    def own_places(self, settings: Settings) -> tuple[OwnPlace, ...]:
        """See HostProfile.own_places."""
        return functions_places(os.environ, sys.argv)

    def log_stream(self) -> None:
        """The worker's own handlers pass records on to the host."""

    async def open_queue(self, foundation: Foundation, submit: Callable[[Ticket], object]) -> tuple[Dispatch, Depths]:
        """See HostProfile.open_queue. Every ticket goes through the queue, also those for this process."""
        dispatch = await open_queue(foundation.settings, foundation.identity, foundation.clock)
        foundation.stack.push_async_callback(dispatch.aclose)
        depths = await open_depth(foundation.settings, foundation.identity, foundation.clock)
        foundation.stack.push_async_callback(depths.aclose)
        return dispatch, depths


@dataclass(frozen=True, slots=True)
class FunctionsProgram:
    program: Program
    reloading: Reloading
    tick_work: TickWork
    queue_work: QueueWork


@asynccontextmanager
async def open_functions_program(
    configuration: Configuration, telemetry: StartTelemetry
) -> AsyncIterator[FunctionsProgram]:
    """Open the program and the host's own parts; leaving closes them. Raises StoreError, DispatchError."""
    async with AsyncExitStack() as stack:
        program = await stack.enter_async_context(open_program(configuration, FunctionsProfile(), telemetry=telemetry))
        await program.check_setup.prepare_jobs()
        reloading = await stack.enter_async_context(open_reloader(configuration, program))
        tick_work = _build_tick_work(program)
        program.watchdog.ticks_from(last_tick_of(tick_work.planned_until))
        program.health.add("ticks", ticks_health(tick_work.planned_until, program.clock))
        yield FunctionsProgram(program, reloading, tick_work, _build_queue_work(program, reloading))


def _build_tick_work(program: Program) -> TickWork:
    return TickWork(
        program.catalog,
        program.runs,
        program.worker,
        program.dispatch,
        program.cursors,
        program.marks,
        program.pauses,
        program.dead_letters,
        program.clock,
    )


def _build_queue_work(program: Program, reloading: Reloading) -> QueueWork:
    return QueueWork(
        program.catalog,
        program.runs,
        program.worker,
        program.dispatch,
        program.dead_letters,
        program.clock,
        owner=program.owner,
        look=reloading.look_briefly,
    )
