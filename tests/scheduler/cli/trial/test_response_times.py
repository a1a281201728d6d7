"""The response times of a batch: neither the program's preparations nor its judgements count. In virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.checks.clock import PhaseClock
from jobs.checks.kinds.http import HttpCheck
from jobs.checks.net.connection import TargetConnection
from jobs.definition import JobDefinition
from jobs.judging import InlineJudge
from jobs.redaction import Redactor
from jobs.running import attempt_series
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.runner import Runner
from jobs.runs.events import NullListener
from jobs.targets import Target
from scheduler.features.trials.running import TrialRunner
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.jobs.running.memory_states import MemoryStates
from tests.parts.http_target import HttpTarget as Server


class Watch:
    """Seconds that only slow parts of the program move, so that the target answers in no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowJudge(InlineJudge):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def perform(self, *arguments: Any, **options: Any) -> Any:
        self._watch.now += 0.7
        return await super().perform(*arguments, **options)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(attempt_series, "PhaseClock", lambda read, **named: PhaseClock(watch, **named))
    return watch


async def test_seven_cold_checks_have_the_response_times_of_their_target(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = TargetConnection.read

    async def resume_late(self: TargetConnection) -> bytes:
        data = await read(self)
        watch.now += 0.3
        return data

    def prepare_slowly(_: Target) -> None:
        watch.now += 0.5

    monkeypatch.setattr(TargetConnection, "read", resume_late)
    check = HttpCheck(MemorySecrets(), MemoryTokens(), Redactor())
    runner = Runner(
        {"http": check},
        CircuitBreakers(MemoryStates()),
        NullListener(),
        SystemClock(),
        Redactor(),
        prepare=prepare_slowly,
        judges=SlowJudge(watch),
    )
    async with Server() as target:
        fields = {"check": {"url": target.url}, "schedule": None, "expect": [{"response_time_below": "1ms"}]}
        jobs = [JobDefinition.model_validate({"name": f"job-{number}", **fields}) for number in range(7)]

        results = await TrialRunner(runner, SystemClock(), concurrency=1, timeout=60.0).run_all(jobs)

    await check.aclose()
    assert [result.run and result.run.response_time_ms for result in results] == [0.0] * 7
    assert all(result.has_succeeded for result in results)
