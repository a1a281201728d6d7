"""The embedded host, killed and started again: one process, its ticker and worker, a store like SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count

from jobs.checks.clock import SendPermission
from jobs.definition import JobDefinition
from jobs.errors import ProcessLost
from jobs.redaction import Redactor
from jobs.running.attempt_series import AttemptExecution, AttemptExecutor, RetrySupervisor, SeriesResult
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.runner import Runner
from jobs.runs import Attempt, Run
from scheduler.catalog.catalog import Catalog
from scheduler.dependencies import DependencyTrigger
from scheduler.dispatch.port import InProcessDispatch
from scheduler.gates import SlotLeases, gates_in_order
from scheduler.hosts.embedded.recovery import RunRecovery
from scheduler.hosts.embedded.ticker import ALONE, Ticker
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.gates import Cancellations, Pauses, StoredCircuits
from scheduler.stores.port import StoreError
from scheduler.stores.runs.keys import RunKey
from scheduler.stores.runs.repository import Runs
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR, Cursors, ScheduleActivations
from scheduler.stores.slots import Slots
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.worker import Worker
from scheduler.worker.worker_dependencies import WorkerDependencies
from tests.simulation.loop import NOBODY
from tests.simulation.outside import Outside
from tests.simulation.process import Killed, Process, World
from tests.simulation.storage import StoreOf, Tables
from tests.simulation.targets import ListenerOf, ScriptedTarget

SLOW_SWEEP = 0.3
"""Share of the batches of a sweep that wait, as if thousands of runs were open: longer than the leases last."""
MAX_WAIT = 200.0
"""Seconds."""


class RunsOfSlowSweeps(Runs):
    """Recovery reads finished runs before it ends any of a batch."""

    def __init__(self, store: StoreOf, process: Process) -> None:
        super().__init__(store, process.monotonic)
        self._process = process

    async def read_finished(self, keys: Sequence[RunKey]) -> Sequence[Run]:
        if self._process.world.happens(SLOW_SWEEP):
            await self._process.sleep(self._process.world.luck.uniform(0, MAX_WAIT))
        return await super().read_finished(keys)


class OtherProcesses:
    """Make the attempts of all runs. Some end before they do: see scheduler.processes."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def use_local(self, local: AttemptExecutor) -> OtherProcesses:
        self._local = local
        return self

    def start(
        self, job: JobDefinition, run_id: str, permission: SendPermission, supervisor: RetrySupervisor
    ) -> AttemptExecution:
        execution = self._local.start(job, run_id, permission, supervisor)
        is_lost = self._process.world.happens(self._process.world.troubles.lost)
        return LostAttempts(self._process, execution, permission) if is_lost else execution


class LostAttempts:
    """Attempts whose process ends, with or without a request, unless they are made sooner."""

    def __init__(self, process: Process, execution: AttemptExecution, permission: SendPermission) -> None:
        self._process = process
        self._execution = execution
        self._permission = permission

    @property
    def attempts(self) -> list[Attempt]:
        return self._execution.attempts

    async def run(self) -> SeriesResult:
        try:
            async with asyncio.timeout(self._process.world.luck.uniform(0, 1)):
                return await self._execution.run()
        except TimeoutError:
            self._process.must_live()
            self._process.world.lost += 1
            self._permission.has_sent = True  # nobody knows
            raise ProcessLost from None


class Embedded:
    """One process at a time; another one follows when it dies."""

    def __init__(self, world: World, seed: int, catalog: Catalog, tables: Tables, outside: Outside) -> None:
        self._world = world
        self._seed = seed
        self._catalog = catalog
        self._tables = tables
        self._outside = outside
        self._process: Process | None = None
        self._names = count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._process = Process(self._world, f"p{next(self._names)}", self._died)
        task = asyncio.ensure_future(self._process.owns(self._life(self._process)))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """It does nothing any more."""
        if self._process is not None:
            self._process.alive = False

    def _died(self, process: Process) -> None:
        self._process = None
        seconds = self._world.luck.uniform(1, 20) if self._world.happens(0.7) else self._world.luck.uniform(20, 1200)
        asyncio.get_running_loop().call_later(seconds, self.start, context=NOBODY)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Killed):
            self._world.violations.append(f"the process broke: {error!r}")

    async def _life(self, process: Process) -> None:
        store = StoreOf(process, self._tables, atomic=True)
        listener = ListenerOf(process, self._outside)
        runs, cursors = Runs(store, process.monotonic), Cursors(store)
        worker = self._worker(process, store, runs, listener)
        swept = RunsOfSlowSweeps(store, process)
        recovery = RunRecovery(self._catalog, swept, DeadLetters(store), worker, process, has_died=lambda owner: True)
        try:
            in_force_since = await ScheduleActivations(store).record_all(self._catalog.schedules(), process.now())
            planned_until = await cursors.read(PLANNED_UNTIL_CURSOR)
        except StoreError:
            process.kill()  # serve ends with the reason, and the container is started again
            return
        ticker = Ticker(self._catalog, worker, process, after=planned_until, in_force_since=in_force_since)
        await asyncio.gather(ticker.run(), recovery.run(), self._progress(process, cursors, worker, ticker))

    async def _progress(self, process: Process, cursors: Cursors, worker: Worker, ticker: Ticker) -> None:
        while True:
            await process.sleep(ALONE.cursor_interval)
            try:
                await cursors.advance(PLANNED_UNTIL_CURSOR, worker.persisted_until(ticker.last_tick))
            except StoreError:
                continue

    def _worker(self, process: Process, store: StoreOf, runs: Runs, listener: ListenerOf) -> Worker:
        checks = {"http": ScriptedTarget(process, self._outside, self._seed)}
        circuits, luck = CircuitBreakers(StoredCircuits(store)), self._world.luck
        in_flight = RunRegistry(Cancellations(store), process)
        pauses = Pauses(store, process.monotonic)
        dispatch = InProcessDispatch(lambda ticket: worker.submit(ticket))
        worker = Worker(
            WorkerDependencies(
                self._catalog,
                runs,
                Runner(checks, circuits, listener, process, Redactor(), luck.random, executor=OtherProcesses(process)),
                listener,
                process,
                owner=process.name,
                concurrency=50,
                registry=in_flight,
                gates=gates_in_order(
                    clock=process,
                    pauses=pauses,
                    runs=runs,
                    cancel_local=in_flight.cancel,
                    slots=SlotLeases(Slots(store, process.name), process),
                ),
                dead_letters=DeadLetters(store),
                follow_up=DependencyTrigger(self._catalog, runs, pauses, dispatch, listener, process),
            )
        )
        return worker
