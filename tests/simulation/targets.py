"""Targets that follow a script drawn from the seed, and what is known from outside of who ran what when."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from jobs.checks.port import Call
from jobs.definition import JobDefinition
from jobs.events import AttemptRetried, RunFinished, RunStarted
from jobs.runs import ErrorClass, Observation, Outcome, Phases, Ticket
from jobs.targets import Target
from scheduler.catalog import Catalog
from tests.simulation.process import Process, World


@dataclass
class Outside:
    """Everything that others saw of the processes: executions and announced ends, by run id."""

    world: World
    catalog: Catalog
    executions: Counter[str] = field(default_factory=Counter)
    told: dict[str, list[Outcome]] = field(default_factory=dict)
    latest: dict[str, Process] = field(default_factory=dict)
    asking: dict[str, Process] = field(default_factory=dict)

    def begin(self, run_id: str, process: Process) -> None:
        self.executions[run_id] += 1
        other = self.asking.get(run_id)
        if other is not None and other.alive:
            self.world.violations.append(f"run {run_id} goes on in {other.name} and begins in {process.name}")
        self.latest[run_id] = process

    def ask(self, run_id: str, process: Process) -> None:
        other = self.latest[run_id]
        if other is not process and other.alive:
            self.world.violations.append(f"run {run_id} goes on in {process.name} though {other.name} has begun it")
        self.asking[run_id] = process
        self._judge_turns(run_id)

    def answered(self, run_id: str, process: Process) -> None:
        if self.asking.get(run_id) is process:
            del self.asking[run_id]

    def _judge_turns(self, run_id: str) -> None:
        """Runs that take turns do not go on together, nor more of a group than its limit says."""
        going = [other for other, process in self.asking.items() if process.alive]
        job = self._job(run_id)
        group = job.concurrency_group
        of_job = [other for other in going if self._job(other) is job]
        if job.overlap.startswith(("buffer", "cancel")) and len(of_job) > 1:
            self.world.violations.append(f"these go on together (overlap: {job.overlap}): {', '.join(of_job)}")
        of_group = [other for other in going if group is not None and _group(self._job(other)) == _group(job)]
        if group is not None and len(of_group) > group.limit:
            self.world.violations.append(f"these go on together in group {group.name}: {', '.join(of_group)}")

    def _job(self, run_id: str) -> JobDefinition:
        return self.catalog.get(run_id.rpartition("@")[0]).job

    def forget(self, run_id: str) -> None:
        """It was judged."""
        del self.executions[run_id]
        self.told.pop(run_id, None)
        self.latest.pop(run_id, None)
        self.asking.pop(run_id, None)


def _group(job: JobDefinition) -> str | None:
    return None if job.concurrency_group is None else job.concurrency_group.name


class ListenerOf:
    """A process's `jobs.events.RunListener`."""

    def __init__(self, process: Process, outside: Outside) -> None:
        self._process = process
        self._outside = outside

    def run_started(self, event: RunStarted) -> None:
        self._process.must_live()
        self._outside.begin(event.ticket.id, self._process)

    def attempt_retried(self, event: AttemptRetried) -> None:
        self._process.must_live()

    def run_finished(self, event: RunFinished) -> None:
        self._process.must_live()
        self._outside.told.setdefault(event.run.id, []).append(event.run.outcome)

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        """The oracle reads the letters themselves."""


class ScriptedTarget:
    """A process's `jobs.checks.port.Check`. What an attempt meets follows from the seed, its run and its number."""

    def __init__(self, process: Process, outside: Outside, seed: int) -> None:
        self._process = process
        self._outside = outside
        self._seed = seed

    async def observe(self, target: Target, call: Call) -> Observation:
        self._process.must_live()
        luck = random.Random(f"{self._seed} {call.run_id} {call.attempt}")
        self._outside.ask(call.run_id, self._process)
        try:
            return await self._answer(luck)
        finally:
            self._outside.answered(call.run_id, self._process)

    async def _answer(self, luck: random.Random) -> Observation:
        kind = luck.random()
        if kind < 0.03:
            await asyncio.sleep(1000)
        seconds = luck.uniform(2, 25) if kind < 0.1 else luck.uniform(0.005, 0.9)
        await asyncio.sleep(seconds)
        self._process.must_live()
        phases = Phases(total_ms=seconds * 1000)
        if kind > 0.97:
            return Observation(phases, error=ErrorClass.CONNECTION_REFUSED, message="Nobody listens there.")
        return Observation(phases, status=503 if kind > 0.92 else 200)

    async def aclose(self) -> None:
        """Holds nothing."""
