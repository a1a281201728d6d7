"""Several instances of the Functions host on one store and one queue, with a timer that is not to be relied on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import count
from typing import Any

from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.runner import Runner
from scheduler.catalog.catalog import Catalog
from scheduler.dependencies import DependencyTrigger
from scheduler.dispatch.port import DispatchError
from scheduler.gates import RemoteRuns, SlotLeases, gates_in_order
from scheduler.hosts.functions.queue import LeaseStillHeld, QueueHandler
from scheduler.hosts.functions.timer import TimerHandler
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.gates import Cancellations, Pauses, StoredCircuits
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Runs
from scheduler.stores.schedules import Cursors, ScheduleActivations
from scheduler.stores.slots import Slots
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.options import FUNCTIONS_OPTIONS
from scheduler.worker.worker import Worker
from scheduler.worker.worker_dependencies import WorkerDependencies
from tests.simulation.loop import NOBODY
from tests.simulation.outside import Outside
from tests.simulation.process import Killed, Process, World
from tests.simulation.queue import DispatchOf, Message, Queue
from tests.simulation.storage import StoreOf, Tables
from tests.simulation.targets import ListenerOf, ScriptedTarget

Works = tuple[TimerHandler, QueueHandler]
"""What an instance's timer does, and what its queue triggers do."""

MAX_FUNCTION = 600.0
"""Seconds: functionTimeout of host.json. The platform then ends the whole process."""
MAX_MESSAGE_LEASE = 600.0
"""Seconds for which the platform takes a message at a time."""
A_MONTH = 30 * 86400.0


class Instances:
    """Starts instances, starts others when they die, and triggers their functions."""

    def __init__(self, world: World, seed: int, catalog: Catalog, tables: Tables, outside: Outside) -> None:
        self._world = world
        self._seed = seed
        self._catalog = catalog
        self._tables = tables
        self._outside = outside
        self._alive: dict[Process, Works] = {}
        self._names = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        lease = world.luck.choice((60.0, 300.0, MAX_MESSAGE_LEASE))
        self.poison = Queue(world, lease, self._some_process)
        self.queue = Queue(world, lease, self._some_process, self.poison)
        self.queue.work, self.poison.work = self._work, self._bury
        self.ticks = 0

    def start(self) -> None:
        process = Process(self._world, f"i{next(self._names)}", self._died)
        self._alive[process] = self._program(process)

    async def timer(self, until: float) -> None:
        """Triggers `tick` each minute until the loop's time `until`, except when its lease is lost."""
        loop, luck = asyncio.get_running_loop(), self._world.luck
        silent_until = 0.0
        while (next_at := (loop.time() // 60 + 1) * 60) <= until:
            await asyncio.sleep(next_at - loop.time())
            troubled = self._world.troubles.doubled > 0
            if troubled and loop.time() < silent_until:
                continue
            kind = luck.random() if troubled else 1.0
            if kind < 0.02:
                silent_until = loop.time() + luck.uniform(60, 900)
            elif kind < 0.07:
                self._later(luck.uniform(5, 75))
            elif kind < 0.12:
                self._later(0)
                self._later(luck.uniform(0, 5))
            else:
                self._later(luck.uniform(0, 0.5))

    # --- triggers ---

    def _later(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._tick)

    def _tick(self) -> None:
        if (process := self._some_process()) is not None:
            self.ticks += 1
            self._begin(self._function(process, self._ticked(self._alive[process][0])))

    async def _ticked(self, work: TimerHandler) -> None:
        await work.plan_ahead()
        await work.resend_stranded()
        await work.publish_unacknowledged()
        await work.prune(A_MONTH, 1_000_000)

    def _work(self, process: Process, message: Message, delivery: int) -> None:
        self._begin(self._handle(process, self.queue, message, delivery))

    def _bury(self, process: Process, message: Message, delivery: int) -> None:
        self._begin(self._handle(process, self.poison, message, delivery))

    async def _handle(self, process: Process, queue: Queue, message: Message, delivery: int) -> None:
        _, work = self._alive[process]
        if queue is self.queue:
            function = work.perform_batch(message.body, delivery)
        else:
            function = work.dead_letter_poison(message.body, message.inserted_at)
        if await self._function(process, function):
            queue.done(message, delivery)
        elif process.alive:
            queue.failed(message, delivery)

    async def _function(self, process: Process, function: Coroutine[Any, Any, object]) -> bool:
        """Whether it ended well."""
        task = asyncio.ensure_future(process.owns(function))
        done, _ = await asyncio.wait((task,), timeout=MAX_FUNCTION)
        if not done:
            process.kill()
            return False
        try:
            task.result()
            await process.step()
        except Killed:
            return False
        except (StoreError, DispatchError, LeaseStillHeld):
            return False
        return True

    def _begin(self, function: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(_awaited(function))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._world.violations.append(f"a function broke: {error!r}")

    # --- processes ---

    def _some_process(self) -> Process | None:
        return self._world.luck.choice(list(self._alive)) if self._alive else None

    def _died(self, process: Process) -> None:
        del self._alive[process]
        seconds = self._world.luck.uniform(1, 30) if self._world.happens(0.9) else self._world.luck.uniform(30, 600)
        asyncio.get_running_loop().call_later(seconds, self.start, context=NOBODY)

    def kill_some(self) -> None:
        if (process := self._some_process()) is not None:
            process.kill()

    def stop(self) -> None:
        """No process does anything any more."""
        for process in self._alive:
            process.alive = False

    def _program(self, process: Process) -> Works:
        store = StoreOf(process, self._tables, atomic=False)
        listener = ListenerOf(process, self._outside)
        runs, dead_letters = Runs(store, process.monotonic), DeadLetters(store)
        checks = {"http": ScriptedTarget(process, self._outside, self._seed)}
        cancellations, slots = Cancellations(store), SlotLeases(Slots(store, process.name), process)
        in_flight = RunRegistry(cancellations, process)
        dispatch = DispatchOf(process, self.queue)
        cursors, marks, pauses = Cursors(store), ScheduleActivations(store), Pauses(store, process.monotonic)
        worker = Worker(
            WorkerDependencies(
                self._catalog,
                runs,
                Runner(
                    checks,
                    CircuitBreakers(StoredCircuits(store)),
                    listener,
                    process,
                    Redactor(),
                    self._world.luck.random,
                ),
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
                    slots=slots,
                    remote=RemoteRuns(runs, slots, cancellations, process),
                ),
                dead_letters=dead_letters,
                follow_up=DependencyTrigger(self._catalog, runs, pauses, dispatch, listener, process),
                options=FUNCTIONS_OPTIONS,
            )
        )
        return (
            TimerHandler(self._catalog, runs, worker, dispatch, cursors, marks, pauses, dead_letters, process),
            QueueHandler(self._catalog, runs, worker, dispatch, dead_letters, process, owner=process.name),
        )


async def _awaited(function: Coroutine[Any, Any, object]) -> None:
    await function
