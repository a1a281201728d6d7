"""Targets that follow a script drawn from the seed, and a listener, which say what is seen from outside."""

from __future__ import annotations

import asyncio
import random

from jobs.checks.port import AttemptContext
from jobs.errors import LeaseEnded
from jobs.runs import ErrorClass, Observation, Phases, Ticket, split_run_id
from jobs.runs.events import AttemptRetried, RunFinished, RunStarted
from jobs.targets import Target
from tests.simulation.outside import Outside
from tests.simulation.process import Process


class ListenerOf:
    """A process's `jobs.runs.events.RunListener`."""

    def __init__(self, process: Process, outside: Outside) -> None:
        self._process = process
        self._outside = outside

    def run_started(self, event: RunStarted) -> None:
        self._process.must_live()
        self._outside.begin(event.ticket.id, event.ticket.job, self._process)

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

    async def observe(self, target: Target, call: AttemptContext) -> Observation:
        await self._process.may_freeze()
        self._process.must_live()
        try:
            call.clock.permission.confirm_request()
        except LeaseEnded:
            self._process.world.refused += 1
            raise
        luck = random.Random(f"{self._seed} {call.run_id} {call.attempt}")
        job, _, _ = split_run_id(call.run_id)
        self._outside.send_request(call.run_id, job, self._process)
        try:
            return await self._answer(luck)
        finally:
            self._outside.answered(call.run_id, job, self._process)

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
