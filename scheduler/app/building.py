"""Opens the parts of the program that every process has, in order, and closes them in reverse.

Each host adds the parts that only it has: see scheduler.hosts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from config.loading import Configuration
from jobs.events import Listeners, RunListener
from jobs.ports import Clock
from jobs.running.clock import SystemClock
from scheduler.app.check_setup import CheckSetup
from scheduler.app.early_telemetry import StartTelemetry
from scheduler.app.foundation import Foundation, open_foundation
from scheduler.app.profile import HostProfile
from scheduler.app.program import Program
from scheduler.app.worker_setup import build_worker
from scheduler.beats import Beats
from scheduler.circuit_board import CircuitBoard
from scheduler.dispatch.port import Depths, Dispatch
from scheduler.follow_up import Dependents
from scheduler.heartbeats import HeartbeatViews
from scheduler.operations import Operations
from scheduler.operations.backfilling import Backfilling
from scheduler.operations.cancelling import Cancelling
from scheduler.operations.circuits import CircuitSteering
from scheduler.operations.pausing import Pausing
from scheduler.operations.pinging import Pinging
from scheduler.operations.refreshing import Refreshing
from scheduler.operations.replaying import Replaying
from scheduler.operations.running import Running
from scheduler.probes import heartbeats_health, secrets_health
from scheduler.queries import Queries
from scheduler.secret_watch import SecretWatch
from scheduler.stores.cancellations import Cancellations
from scheduler.stores.circuits import StoredCircuits
from scheduler.stores.cursors import Cursors
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.schedule_marks import ScheduleMarks
from scheduler.uptimes import Uptimes
from scheduler.watchdog import JobWatch, Taking, Watchdog
from scheduler.work.following import FollowedUpByOthers, FollowUp
from scheduler.work.worker import Worker


@asynccontextmanager
async def open_program(
    configuration: Configuration,
    profile: HostProfile,
    *,
    clock: Clock | None = None,
    listener: RunListener | None = None,
    telemetry: StartTelemetry | None = None,
) -> AsyncIterator[Program]:
    """Open every part in order; leaving closes them in reverse. `listener` hears of runs, in addition to telemetry.

    `telemetry`: what the host has started before; it stays open. Without it the program opens and closes its own.

    Raises:
        StoreError, DispatchError: state or queue cannot be opened; the message says what to check.
    """
    async with AsyncExitStack() as stack:
        foundation = await open_foundation(configuration, profile, clock or SystemClock(), stack, telemetry)
        yield await _build_program(foundation, listener)


async def _build_program(foundation: Foundation, listener: RunListener | None) -> Program:
    catalog, store, clock, runs, pauses = (
        foundation.catalog,
        foundation.store,
        foundation.clock,
        foundation.runs,
        foundation.pauses,
    )
    telemetry, health = foundation.telemetry, foundation.health
    told: RunListener = telemetry if listener is None else Listeners(telemetry, listener)
    beats = Beats(catalog, Heartbeats(store), pauses, ScheduleMarks(store), clock)
    setup = CheckSetup(foundation, beats)
    secret_watch = SecretWatch(store, setup.secrets, catalog, telemetry, clock, setup.bindings)
    health.add("secrets", secrets_health(setup.secrets, foundation.identity, secret_watch))
    # What follows from a run goes back to the worker that has performed it, which is made below.
    dispatch, depths = await foundation.profile.open_queue(foundation, lambda ticket: taking.submit(ticket))
    worker = build_worker(foundation, setup, told, _build_follow_up(foundation, dispatch, told))
    taking = Taking(worker, foundation.noted)
    board = CircuitBoard(catalog, StoredCircuits(store), clock)
    return Program(
        settings=foundation.settings,
        catalog=catalog,
        clock=clock,
        identity=foundation.identity,
        store=store,
        owner=foundation.owner,
        runs=runs,
        cursors=Cursors(store),
        marks=ScheduleMarks(store),
        pauses=pauses,
        dead_letters=DeadLetters(store),
        check_setup=setup,
        dispatch=dispatch,
        worker=worker,
        operations=_build_operations(foundation, setup, worker, dispatch, secret_watch, board, beats),
        queries=Queries(catalog, runs, pauses, DeadLetters(store), clock),
        health=health,
        watchdog=_build_watchdog(foundation, depths, worker),
        secret_watch=secret_watch,
        circuits=board,
        heartbeats=HeartbeatViews(catalog, Heartbeats(store), beats, pauses, clock),
        uptimes=Uptimes(catalog, runs, clock, foundation.settings.retention.age),
        taking=taking,
        telemetry=telemetry,
    )


def _build_follow_up(foundation: Foundation, dispatch: Dispatch, told: RunListener) -> FollowUp:
    """Without all jobs it is unknown which of them depend on a run."""
    if foundation.configuration.problems:
        return FollowedUpByOthers()
    return Dependents(foundation.catalog, foundation.runs, foundation.pauses, dispatch, told, foundation.clock)


def _build_operations(
    foundation: Foundation,
    setup: CheckSetup,
    worker: Worker,
    dispatch: Dispatch,
    secret_watch: SecretWatch,
    board: CircuitBoard,
    beats: Beats,
) -> Operations:
    catalog, store, clock, runs, pauses = (
        foundation.catalog,
        foundation.store,
        foundation.clock,
        foundation.runs,
        foundation.pauses,
    )
    requested = foundation.telemetry.run_requested
    running = Running(catalog, runs, dispatch, clock, setup.prepare_for_run(), requested)
    pinging = Pinging(catalog, setup.secrets, Heartbeats(store), beats, pauses, running, foundation.redactor, clock)
    foundation.health.add("heartbeats", heartbeats_health(pinging))
    return Operations(
        running=running,
        pausing=Pausing(catalog, pauses, clock),
        cancelling=Cancelling(catalog, runs, running, Cancellations(store), worker.cancel, worker.telling, clock),
        replaying=Replaying(catalog, DeadLetters(store), runs, dispatch, clock),
        backfilling=Backfilling(catalog, runs, ScheduleMarks(store), dispatch, clock),
        circuits=CircuitSteering(board, StoredCircuits(store), clock),
        refreshing=Refreshing(secret_watch),
        pinging=pinging,
    )


def _build_watchdog(foundation: Foundation, depths: Depths, worker: Worker) -> Watchdog:
    jobs = JobWatch(foundation.catalog, foundation.runs, foundation.pauses, foundation.noted, foundation.clock)
    watchdog = Watchdog(
        jobs,
        depths,
        foundation.store,
        foundation.telemetry,
        foundation.clock,
        shared=foundation.profile.shares_queue,
        places=worker.places,
        trouble=foundation.trouble,
    )
    foundation.health.add("watchdog", watchdog.health)
    return watchdog
