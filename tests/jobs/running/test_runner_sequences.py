"""The sequences of other breakers, played by runs of a job as a user writes it, through runner and stored state."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.circuit_state import CircuitState, dump_state, load_state
from jobs.running.runner import Runner
from jobs.runs import ErrorClass, Observation, Outcome, Phases, Run
from jobs.targets import Target
from tests.jobs.running.circuit_breaker.circuit_steps import look, steered
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import TICKET, URL, Heard
from tests.jobs.running.running_cases import cases
from tests.jobs.running.virtual_time import START

ENDS = {
    "ok": Observation(Phases(), status=200),
    "fail": Observation(Phases(), error=ErrorClass.CONNECTION_REFUSED, message="It refused the connection."),
    "nothing": Observation(Phases(), error=ErrorClass.SECRET_UNAVAILABLE, message="The vault is away."),
}


class SetClock:
    """Stands where a step has put it."""

    seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return 0.0  # a jump would be time for which the process did not run

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing is retried here")


class Waiting:
    """A check that goes on until it is told what it saw."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[asyncio.Future[Observation]] = asyncio.Queue()

    async def observe(self, target: Target, call: AttemptContext) -> Observation:
        reported = asyncio.get_running_loop().create_future()
        self.asked.put_nowait(reported)
        return await reported

    async def aclose(self) -> None:
        """Holds nothing."""


class Player:
    def __init__(self, circuit: dict[str, Any]) -> None:
        written = {"name": "checkout", "check": {"url": URL}, "retry": {"attempts": 1}, "circuit": circuit}
        # So a probe counts as lost after 30 s: the run's time and 11 s.
        self.job = JobDefinition.model_validate(written | {"timeout": {"attempt": "19s", "run": "19s"}})
        self.clock, self.check, self.states = SetClock(), Waiting(), MemoryStates()
        self.runner = Runner({"http": self.check}, CircuitBreakers(self.states), Heard(), self.clock, Redactor())
        self.going: list[tuple[asyncio.Task[Run], asyncio.Future[Observation]]] = []
        self.tasks: list[asyncio.Task[Run]] = []

    def stored(self) -> CircuitState:
        return load_state(self.states.stored.get("checkout", (None, 0))[0])

    async def play(self, step: dict[str, Any]) -> None:
        self.clock.seconds = step["at"]
        now, before = self.clock.now(), self.stored()
        if (after := steered(before, step, now)) != before:
            self.states.put("checkout", dump_state(after))
        if "put" in step:
            self.going.clear()
        if "admitted" in step or "run" in step:
            assert await self._started() is step.get("admitted", True)
        if ending := step.get("run") or step.get("ended"):
            await self._end(*self.going.pop(-1 if "run" in step else 0), ending, step.get("seconds", 0.0))
        if "given_back" in step:
            await self._end(*self.going.pop(), "nothing", 0.0)
        assert self.job.circuit is not None
        look(self.stored(), self.job.circuit, step, now)

    async def _started(self) -> bool:
        """Whether the circuit lets a run through. Its check is asked then, or it ends as rejected."""
        task, asked = (
            asyncio.create_task(self.runner.run(self.job, TICKET)),
            asyncio.create_task(self.check.asked.get()),
        )
        self.tasks.append(task)
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            asked.cancel()
            assert task.result().outcome is Outcome.REJECTED
            return False
        self.going.append((task, asked.result()))
        return True

    async def _end(
        self, task: asyncio.Task[Run], reported: asyncio.Future[Observation], ending: str, seconds: float
    ) -> None:
        reported.set_result(replace(ENDS[ending], phases=Phases(total_ms=seconds * 1000)))
        assert (await task).outcome is (Outcome.SUCCEEDED if ending == "ok" else Outcome.FAILED)


@pytest.mark.parametrize("case", cases("circuit_sequences"))
async def test_a_job_with_such_a_circuit_is_let_through_and_rejected_as_by_other_breakers(case: dict[str, Any]) -> None:
    player = Player(case["circuit"])
    for step in case["steps"]:
        await player.play(step)
    for task in player.tasks:
        task.cancel()
    await asyncio.gather(*player.tasks, return_exceptions=True)
