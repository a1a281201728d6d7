"""How the jobs of a test are run: order, limits, time, reasons to skip one. With a scripted runner."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.definition import JobDefinition
from jobs.running.clocks import SystemClock
from jobs.runs import Outcome, Run, Ticket
from scheduler.features.trials.running import START_SPACING, TrialResult, TrialRunner

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class TurnClock(SystemClock):
    """Sleeping takes one turn of the loop."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class ScriptedRunner:
    """Each run takes many turns of the loop; jobs in `failing` fail."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.order: list[str] = []
        self.jobs: dict[str, JobDefinition] = {}
        self.most: Counter[str] = Counter()
        self._now: Counter[str] = Counter()

    def prepare(self, jobs: Iterable[JobDefinition]) -> None:
        self.order += [f"prepare {job.name}" for job in jobs]

    async def run(self, job: JobDefinition, ticket: Ticket) -> Run:
        group = job.concurrency_group.name if job.concurrency_group is not None else ""
        self.order.append(job.name)
        self.jobs[job.name] = job
        for key in {"all", group}:
            self._now[key] += 1
            self.most[key] = max(self.most[key], self._now[key])
        for _ in range(500):
            await asyncio.sleep(0)
        for key in {"all", group}:
            self._now[key] -= 1
        outcome = Outcome.FAILED if job.name in self.failing else Outcome.SUCCEEDED
        return Run(ticket.id, job.name, ticket.trigger, outcome, NOW, NOW, NOW + timedelta(seconds=1))


def job(name: str, **more: Any) -> JobDefinition:
    fields = {"schedule": None, "check": {"url": "https://shop.example/"}, **more}
    return JobDefinition.model_validate({"name": name, **fields})


async def run(runner: ScriptedRunner, *jobs: JobDefinition, **options: Any) -> list[TrialResult]:
    trial = TrialRunner(
        runner,  # type: ignore[arg-type]  # only its methods `prepare` and `run` are used
        options.get("clock", TurnClock()),
        concurrency=options.get("concurrency", 4),
        timeout=options.get("timeout", 60.0),
    )
    return [*await trial.run_all(jobs)]


@pytest.mark.parametrize("concurrency", [1, 3, 50])
async def test_at_most_so_many_runs_at_a_time(concurrency: int) -> None:
    runner = ScriptedRunner()

    results = await run(runner, *(job(f"j{number}") for number in range(20)), concurrency=concurrency)

    assert [result.job.name for result in results] == [f"j{number}" for number in range(20)]
    assert runner.most["all"] == min(concurrency, 20)


async def test_a_group_limits_its_jobs_and_no_others() -> None:
    runner = ScriptedRunner()
    grouped = [job(f"g{number}", concurrency_group={"name": "db", "limit": 2}) for number in range(8)]

    await run(runner, *grouped, *(job(f"j{number}") for number in range(8)), concurrency=6)

    assert runner.most["db"] == 2
    assert runner.most["all"] == 6


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_dependencies_run_first(concurrency: int) -> None:
    runner = ScriptedRunner()
    jobs = (job("report", depends_on=["load"]), job("load", depends_on=["extract"]), job("extract"), job("other"))

    results = await run(runner, *jobs, concurrency=concurrency)

    assert all(result.has_succeeded for result in results)
    order = [runner.order.index(name) for name in ("extract", "load", "report")]
    assert order == sorted(order)


async def test_what_a_failed_dependency_does() -> None:
    jobs = (
        job("a"),
        job("after", depends_on=["a"]),
        job("then", depends_on=["after"]),
        job("repair", depends_on=[{"job": "a", "condition": "failed"}]),
        job("alone", depends_on=["not-selected"]),
    )

    results = {result.job.name: result for result in await run(ScriptedRunner("a"), *jobs)}

    assert "failed (condition: succeeded)" in results["after"].skipped
    assert results["then"].skipped.startswith("dependency after was skipped: ")
    assert results["repair"].has_succeeded
    assert results["alone"].has_succeeded


async def test_disabled_jobs_and_heartbeats_are_skipped() -> None:
    beat = {"kind": "heartbeat", "token": {"secret": "t"}, "period": "1h"}

    results = await run(ScriptedRunner(), job("off", enabled=False), job("beat", check=beat))

    assert [result.skipped for result in results] == [
        "the job is disabled",
        "a heartbeat contacts no target: it waits for pings",
    ]


async def test_no_run_is_longer_than_allowed_and_no_circuit_counts_it() -> None:
    runner = ScriptedRunner()

    long = job("long", timeout={"run": "5m"}, circuit={"consecutive_failures": 3})
    await run(runner, long, job("short", timeout={"run": "2s"}), timeout=30.0)

    assert (runner.jobs["long"].timeout.run, runner.jobs["short"].timeout.run) == (30.0, 2.0)
    assert runner.jobs["long"].circuit is None


async def test_an_error_of_the_runner_ends_the_test() -> None:
    class Broken(ScriptedRunner):
        async def run(self, job: JobDefinition, ticket: Ticket) -> Run:
            raise MemoryError("no memory")

    with pytest.raises(MemoryError):
        await run(Broken(), job("a"), job("b", depends_on=["a"]))


async def test_every_check_is_prepared_before_the_first_run() -> None:
    runner = ScriptedRunner()

    await run(runner, job("a"), job("b"), job("off", enabled=False))

    assert runner.order[:2] == ["prepare a", "prepare b"]
    assert set(runner.order[2:]) == {"a", "b"}


async def test_runs_start_one_after_the_other() -> None:
    clock = TurnClock()

    await run(ScriptedRunner(), job("a"), job("b"), job("c"), clock=clock)

    assert clock.slept == [START_SPACING] * 3
