"""Opens the parts of the program in order, hands each what it needs, and closes them in reverse."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from config.binding_warnings import denied_sendings
from config.bindings import bindings_of
from config.identity import Identity
from config.job_set import JobSet
from config.job_warnings import unusable_files
from config.loading import Configuration
from config.reload import open_source
from config.secrets import SecretChain, build_secrets
from config.targets import ca_files_of, guard_of
from jobs.checks import Checks, build_checks
from jobs.checks.body_memory import BodyMemory
from jobs.checks.files.own_thread import in_own_thread
from jobs.checks.own_places import OwnPlace
from jobs.events import Listeners, RunListener
from jobs.judging.service import JudgingService
from jobs.ports import Clock
from jobs.problems import Problem
from jobs.redaction import Redactor
from jobs.running.budget import RetryBudget
from jobs.running.circuits import Circuits
from jobs.running.clock import SystemClock
from jobs.running.runner import Runner
from jobs.runs import Ticket
from jobs.targets import Target
from jobs.telemetry import TelemetryPolicy
from observability.logs import configure_logging
from observability.telemetry import Telemetry, build_telemetry
from scheduler.app.adapters import file_check, open_depth, open_queue, open_store, place_of_store
from scheduler.app.early_telemetry import StartTelemetry
from scheduler.app.own_places import own_places
from scheduler.app.program import Program, Role
from scheduler.beats import Beats
from scheduler.catalog import Catalog
from scheduler.circuit_board import CircuitBoard
from scheduler.denied_targets import warn_of_denied_targets
from scheduler.dispatch.in_process import InProcessDispatch
from scheduler.dispatch.port import Depths, Dispatch
from scheduler.follow_up import Dependents
from scheduler.gates import Elsewhere, Gates, HeldSlots, gates_in_order
from scheduler.health import Health
from scheduler.heartbeats import HeartbeatViews
from scheduler.job_warnings import WarningLog
from scheduler.operations import Operations
from scheduler.operations.backfilling import Backfilling
from scheduler.operations.cancelling import Cancelling
from scheduler.operations.circuits import CircuitSteering
from scheduler.operations.pausing import Pausing
from scheduler.operations.pinging import Pinging
from scheduler.operations.refreshing import Refreshing
from scheduler.operations.replaying import Replaying
from scheduler.operations.running import Running
from scheduler.probes import (
    circuits_health,
    configuration_health,
    heartbeats_health,
    results_health,
    secrets_health,
    store_health,
    telemetry_health,
)
from scheduler.queries import Queries
from scheduler.queue_work import QueueWork
from scheduler.reloading import PART, Reloading, view_of
from scheduler.secret_watch import SecretWatch
from scheduler.stores.cancellations import Cancellations
from scheduler.stores.circuits import StoredCircuits
from scheduler.stores.cursors import Cursors
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.pauses import Pauses
from scheduler.stores.port import Store
from scheduler.stores.runs import Runs
from scheduler.stores.schedule_marks import ScheduleMarks
from scheduler.stores.slots import Slots
from scheduler.tick_work import TickWork
from scheduler.uptimes import Uptimes
from scheduler.version import VERSION
from scheduler.watchdog import JobWatch, Noted, StoreTrouble, Taking, Watchdog, WatchedRuns
from scheduler.work.following import FollowedUpByOthers, FollowUp
from scheduler.work.going import Going
from scheduler.work.places import Shares
from scheduler.work.worker import COMMAND, EMBEDDED, FUNCTIONS, Worker

TELEMETRY_PATIENCE = 1.0
"""Seconds for the last telemetry to leave at the end."""
FILES_PATIENCE = 2.0
"""Seconds for the files that jobs name: a share that hangs must not keep the program from starting."""


@asynccontextmanager
async def open_program(
    configuration: Configuration,
    *,
    role: Role,
    clock: Clock | None = None,
    listener: RunListener | None = None,
    telemetry: StartTelemetry | None = None,
    served_at: OwnPlace | None = None,
) -> AsyncIterator[Program]:
    """Open every part in order; leaving closes them in reverse. `listener` hears of runs beside telemetry.

    `telemetry`: what the host has started before; it stays open. Without it the program opens and closes its own.
    `served_at`: where the embedded host serves the API, which no check may ask.

    Raises:
        StoreError, DispatchError: state or queue cannot be opened; the message says what to look at.
    """
    async with AsyncExitStack() as stack:
        builder = _Builder(configuration, role, clock or SystemClock(), stack, telemetry, served_at)
        yield await builder.program(listener)


class _Builder:
    """Opens parts and registers their closing with the stack."""

    def __init__(
        self,
        configuration: Configuration,
        role: Role,
        clock: Clock,
        stack: AsyncExitStack,
        started: StartTelemetry | None,
        served_at: OwnPlace | None = None,
    ) -> None:
        self._settings = configuration.settings.model_copy(
            update={"version": configuration.settings.version or VERSION}
        )
        self._catalog = Catalog(view_of(configuration.jobs, clock.now()))
        self._jobs_are_missing = bool(configuration.problems)
        self._jobs = configuration.jobs
        self._warning_log = WarningLog()
        self._place = configuration.place
        self._role = role
        self._clock = clock
        self._stack = stack
        self._started = started
        own = own_places(role, configuration.settings, os.environ, sys.argv, served_at)
        self._guard = guard_of(configuration.settings, os.environ, own)
        self._bindings = bindings_of(configuration.settings)
        self._judges = JudgingService()
        self._redactor = Redactor() if started is None else started.redactor
        self._health = Health()
        self._trouble = StoreTrouble(clock.monotonic)
        # Marks the claims of this process, and of no other one that has the same pid on another day or host.
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    async def program(self, listener: RunListener | None) -> Program:
        self._logging()
        telemetry = self._telemetry()
        told: RunListener = telemetry if listener is None else Listeners(telemetry, listener)
        identity = Identity(self._settings, clock=self._clock)
        self._stack.push_async_callback(identity.aclose)
        store = await self._store(identity)
        noted = Noted(self._clock)
        runs, pauses = self._runs(store, noted), Pauses(store, self._clock.monotonic)
        # What follows from a run goes back to the worker that has performed it, which is made below.
        dispatch = await self._dispatch(identity, lambda ticket: taking.submit(ticket))
        follow_up: FollowUp = FollowedUpByOthers()
        if not self._jobs_are_missing:
            follow_up = Dependents(self._catalog, runs, pauses, dispatch, told, self._clock)
        secret_values = self._secrets(identity)
        secret_watch = SecretWatch(store, secret_values, self._catalog, telemetry, self._clock, self._bindings)
        self._health.add("secrets", secrets_health(secret_values, identity, secret_watch))
        checks = await self._checks(secret_values, identity, store, pauses)
        worker = self._worker(checks, store, runs, pauses, told, noted, follow_up)
        if self._role is Role.EMBEDDED:
            self._health.add("results", results_health(worker, self._clock))
        taking = Taking(worker, noted)
        depths = await self._depths(identity, noted)
        reloading = self._reloading(identity, checks)
        job_watch = JobWatch(self._catalog, runs, pauses, noted, self._clock)
        return Program(
            settings=self._settings,
            catalog=self._catalog,
            clock=self._clock,
            runs=runs,
            cursors=Cursors(store),
            marks=ScheduleMarks(store),
            pauses=pauses,
            dead_letters=DeadLetters(store),
            worker=worker,
            operations=self._operations(
                store, runs, pauses, worker, dispatch, secret_watch, secret_values, checks, telemetry.run_requested
            ),
            queries=Queries(self._catalog, runs, pauses, DeadLetters(store), self._clock),
            health=self._health,
            watchdog=self._watchdog(job_watch, depths, store, telemetry, worker),
            secret_watch=secret_watch,
            circuits=self._circuit_board(store),
            heartbeats=HeartbeatViews(
                self._catalog, Heartbeats(store), self._beats(store, pauses), pauses, self._clock
            ),
            uptimes=Uptimes(self._catalog, runs, self._clock, self._settings.retention.age),
            taking=taking,
            telemetry=telemetry,
            reloading=reloading,
            tick_work=self._tick_work(store, runs, pauses, worker, dispatch),
            queue_work=self._queue_work(store, runs, worker, dispatch, reloading),
        )

    def _logging(self) -> None:
        """Before anything logs. A command's output is on stdout, so its log goes to stderr and holds troubles only."""
        stream, level = {
            Role.EMBEDDED: (sys.stdout, self._settings.log.level),
            Role.TOOL: (sys.stderr, "warning"),
            # The worker's own handlers pass records on to the host.
            Role.FUNCTIONS: (None, self._settings.log.level),
        }[self._role]
        log = configure_logging(level=level, format=self._settings.log.format, redactor=self._redactor, stream=stream)
        self._stack.push_async_callback(log.aclose)

    def _telemetry(self) -> Telemetry:
        if self._started is not None:
            telemetry = self._started.telemetry
        else:
            telemetry = build_telemetry(self._settings, self._redactor)
            telemetry.start()
            self._stack.push_async_callback(telemetry.aclose, TELEMETRY_PATIENCE)
        telemetry.use_policies(self._telemetry_policy)
        self._health.add("telemetry", telemetry_health(telemetry))
        self._health.add("configuration", configuration_health(self._settings))
        return telemetry

    def _telemetry_policy(self, job: str) -> TelemetryPolicy | None:
        entry = self._catalog.find(job)
        return None if entry is None else entry.job.telemetry

    def _runs(self, store: Store, noted: Noted) -> Runs:
        # Of what a Functions instance queues, any instance gets the message.
        queues_as = "" if self._role is Role.FUNCTIONS else self._owner
        return WatchedRuns(store, noted, queues_as=queues_as, trouble=self._trouble)

    async def _store(self, identity: Identity) -> Store:
        store = await open_store(self._settings, identity, self._role)
        self._stack.push_async_callback(store.aclose)
        check = file_check(store) if self._role is Role.EMBEDDED else None
        if check is not None:
            self._stack.push_async_callback(_cancelled, asyncio.create_task(check.run()))
        damage = (lambda: "") if check is None else lambda: check.damage
        self._health.add("store", store_health(store, place_of_store(self._settings), self._trouble, damage))
        return store

    def _secrets(self, identity: Identity) -> SecretChain:
        secret_values = build_secrets(self._settings, identity, self._redactor, self._clock)
        self._stack.push_async_callback(secret_values.aclose)
        return secret_values

    async def _warn(self, jobs: JobSet) -> None:
        """Log what is hardly meant in these jobs, and was not before."""

        def found() -> list[Problem]:
            files = unusable_files(jobs, ca_files_of(self._settings))
            return [*jobs.warnings, *files, *denied_sendings(jobs, self._bindings)]

        with suppress(TimeoutError):
            async with asyncio.timeout(FILES_PATIENCE):
                self._warning_log.log(await in_own_thread(found))

    async def _checks(self, secret_values: SecretChain, identity: Identity, store: Store, pauses: Pauses) -> Checks:
        guard = self._guard
        self._stack.push_async_callback(self._judges.aclose)
        checks = build_checks(
            secret_values,
            identity,
            self._redactor,
            guard=guard,
            user_agent=f"scheduler/{VERSION}",
            pings=self._beats(store, pauses),
            clock=self._clock,
            traces=self._settings.targets.traceparent,
            bindings=self._bindings,
            ca_files=ca_files_of(self._settings),
            judges=self._judges,
        )
        self._stack.push_async_callback(checks.aclose)
        if self._role is not Role.TOOL:
            await self._warn(self._jobs)
            checks.prepare(entry.job.check for entry in self._catalog)
            warn_of_denied_targets((entry.job for entry in self._catalog), guard)
        return checks

    def _preparing(self, checks: Checks) -> Callable[[Target], None]:
        """How a run's check is prepared. Hosts have prepared those of all jobs; a command runs few of them, and nobody
        else waits for its event loop."""
        if self._role is not Role.TOOL:
            return lambda target: None
        return lambda target: checks.prepare((target,))

    def _worker(
        self,
        checks: Checks,
        store: Store,
        runs: Runs,
        pauses: Pauses,
        told: RunListener,
        noted: Noted,
        follow_up: FollowUp,
    ) -> Worker:
        circuits = Circuits(StoredCircuits(store))
        going = Going(Cancellations(store), self._clock)
        self._health.add("circuits", circuits_health(circuits, self._clock))
        shares = self._settings.retry_budget
        budget = RetryBudget(shares.per_minute, shares.share)
        return Worker(
            self._catalog,
            runs,
            Runner(
                checks,
                circuits,
                told,
                self._clock,
                self._redactor,
                budget=budget,
                bodies=BodyMemory(self._settings.targets.body_memory),
                prepare=self._preparing(checks),
                judges=self._judges,
            ),
            told,
            self._clock,
            owner=self._owner,
            concurrency=self._settings.concurrency,
            shares=Shares(self._settings.shares.job, self._settings.shares.host),
            going=going,
            gates=self._gates(store, runs, pauses, going),
            dead_letters=DeadLetters(store),
            follow_up=follow_up,
            ways=_WAYS[self._role],
            began=noted.begins,
        )

    def _operations(
        self,
        store: Store,
        runs: Runs,
        pauses: Pauses,
        worker: Worker,
        dispatch: Dispatch,
        secret_watch: SecretWatch,
        secret_values: SecretChain,
        checks: Checks,
        requested: Callable[[Ticket, str], None],
    ) -> Operations:
        running = Running(self._catalog, runs, dispatch, self._clock, self._preparing(checks), requested)
        pinging = Pinging(
            self._catalog,
            secret_values,
            Heartbeats(store),
            self._beats(store, pauses),
            pauses,
            running,
            self._redactor,
            self._clock,
        )
        self._health.add("heartbeats", heartbeats_health(pinging))
        cancellations, letters = Cancellations(store), DeadLetters(store)
        return Operations(
            running=running,
            pausing=Pausing(self._catalog, pauses, self._clock),
            cancelling=Cancelling(
                self._catalog, runs, running, cancellations, worker.cancel, worker.telling, self._clock
            ),
            replaying=Replaying(self._catalog, letters, runs, dispatch, self._clock),
            backfilling=Backfilling(self._catalog, runs, ScheduleMarks(store), dispatch, self._clock),
            circuits=CircuitSteering(self._circuit_board(store), StoredCircuits(store), self._clock),
            refreshing=Refreshing(secret_watch),
            pinging=pinging,
        )

    def _beats(self, store: Store, pauses: Pauses) -> Beats:
        return Beats(self._catalog, Heartbeats(store), pauses, ScheduleMarks(store), self._clock)

    def _circuit_board(self, store: Store) -> CircuitBoard:
        return CircuitBoard(self._catalog, StoredCircuits(store), self._clock)

    def _gates(self, store: Store, runs: Runs, pauses: Pauses, going: Going) -> Gates:
        slots = HeldSlots(Slots(store, self._owner), self._clock)
        alone = self._role is Role.EMBEDDED
        return gates_in_order(
            clock=self._clock,
            pauses=pauses,
            runs=runs,
            cancel=going.cancel,
            slots=slots,
            elsewhere=None if alone else Elsewhere(runs, slots, Cancellations(store), self._clock),
            max_running=self._settings.max_running,
        )

    async def _dispatch(self, identity: Identity, submit: Callable[[Ticket], object]) -> Dispatch:
        """`submit`: to the worker of this process."""
        if self._role is not Role.FUNCTIONS:
            return InProcessDispatch(submit)
        dispatch = await open_queue(self._settings, identity, self._clock)
        self._stack.push_async_callback(dispatch.aclose)
        return dispatch

    async def _depths(self, identity: Identity, noted: Noted) -> Depths:
        if self._role is not Role.FUNCTIONS:
            return noted
        depths = await open_depth(self._settings, identity, self._clock)
        self._stack.push_async_callback(depths.aclose)
        return depths

    def _reloading(self, identity: Identity, checks: Checks) -> Reloading | None:
        if self._role is Role.TOOL:
            return None
        source = open_source(self._place, identity)
        if source is not None:
            self._stack.push_async_callback(source.aclose)
        guard = self._guard
        reloading = Reloading(
            source,
            self._catalog,
            self._clock,
            lambda jobs: warn_of_denied_targets(jobs, guard),
            checks.prepare,
            self._warn,
        )
        self._stack.push_async_callback(reloading.aclose)
        self._health.add(PART, reloading.health)
        return reloading

    def _watchdog(self, jobs: JobWatch, queue: Depths, store: Store, telemetry: Telemetry, worker: Worker) -> Watchdog:
        shared = self._role is Role.FUNCTIONS
        watchdog = Watchdog(
            jobs,
            queue,
            store,
            telemetry,
            self._clock,
            shared=shared,
            places=worker.places,
            trouble=self._trouble,
        )
        self._health.add("watchdog", watchdog.health)
        return watchdog

    def _tick_work(
        self, store: Store, runs: Runs, pauses: Pauses, worker: Worker, dispatch: Dispatch
    ) -> TickWork | None:
        if self._role is not Role.FUNCTIONS:
            return None
        return TickWork(
            self._catalog,
            runs,
            worker,
            dispatch,
            Cursors(store),
            ScheduleMarks(store),
            pauses,
            DeadLetters(store),
            self._clock,
        )

    def _queue_work(
        self, store: Store, runs: Runs, worker: Worker, dispatch: Dispatch, reloading: Reloading | None
    ) -> QueueWork | None:
        if self._role is not Role.FUNCTIONS or reloading is None:
            return None
        return QueueWork(
            self._catalog,
            runs,
            worker,
            dispatch,
            DeadLetters(store),
            self._clock,
            owner=self._owner,
            look=reloading.look_briefly,
        )


_WAYS = {Role.EMBEDDED: EMBEDDED, Role.TOOL: COMMAND, Role.FUNCTIONS: FUNCTIONS}


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
