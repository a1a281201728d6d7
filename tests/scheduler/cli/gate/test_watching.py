"""How a gate runs its jobs: rounds, early ends, a scheduler that does not answer. In virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.definition import JobDefinition
from scheduler.features.delivery.port import ListedRun, RunningJob
from scheduler.features.delivery.remote import RemoteError
from scheduler.features.gate.judgement import FindingKind, GatePolicy, RunSample
from scheduler.features.gate.watching import (
    GateJob,
    GateReport,
    GateRequest,
    GateRound,
    GateWatch,
    ObservedRun,
    count_remaining,
    observe_run,
    select_gate_jobs,
)
from scheduler.features.jobs.selection import JobSelection, TagFilter

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OK, BAD = RunSample(True, 100.0), RunSample(False, 100.0)
Answer = Callable[[str, float], RunSample | None]


class GateClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def list_run(name: str, sample: RunSample | None) -> ListedRun:
    """A finished run with this result; None: a running one."""
    if sample is None:
        return ListedRun(name, "manual", "running", None)
    return ListedRun(name, "manual", "succeeded" if sample.succeeded else "failed", sample.milliseconds)


class PlayedScheduler:
    """Runs that are started end at once, as `answer` tells by job and second; None: the run stays open."""

    def __init__(self, clock: GateClock, answer: Answer, before: Mapping[str, int] | None = None) -> None:
        self._clock = clock
        self._answer = answer
        self._before = {"a": 360} if before is None else before
        self.runs: list[ListedRun] = []
        self.starts: list[float] = []
        self.unavailable: tuple[float, float] = (-1.0, -1.0)

    async def read_now(self) -> datetime:
        return self._clock.now()

    async def read_jobs(self) -> Sequence[RunningJob]:
        return ()

    async def mark(self, text: str, tags: Mapping[str, str], at: datetime) -> None: ...

    async def start_runs(self, names: Sequence[str]) -> Sequence[str]:
        self._check()
        self.starts.append(self._clock.seconds)
        for name in names:
            sample = self._answer(name, self._clock.seconds)
            self.runs.append(list_run(name, sample))
        return ["b: there is no such job"] if "b" in names else []

    async def read_runs(self, names: Sequence[str], since: datetime, until: datetime | None) -> Sequence[ListedRun]:
        if until is not None:
            return [list_run(name, OK) for name, count in self._before.items() for _ in range(count)]
        self._check()
        return [*self.runs]

    def _check(self) -> None:
        since, until = self.unavailable
        if since <= self._clock.seconds < until:
            raise RemoteError("it is away")


class Gate:
    def __init__(self, answer: Answer, *jobs: GateJob, duration: float = 600.0, **more: Any) -> None:
        self.clock = GateClock()
        self.scheduler = PlayedScheduler(self.clock, answer, more.get("before"))
        self.rounds: list[GateRound] = []
        self._request = GateRequest(jobs or (GateJob("a", None),), NOW, NOW, duration, 3600.0)

    async def run(self) -> GateReport:
        watch = GateWatch(self.scheduler, self.clock, GatePolicy(), self.rounds.append)
        return await watch.run(self._request)


async def test_jobs_run_at_once_and_each_15_seconds() -> None:
    gate = Gate(lambda job, at: OK)

    report = await gate.run()

    assert gate.scheduler.starts == [15.0 * number for number in range(40)]
    assert (report.is_accepted, report.is_early, gate.clock.seconds) == (True, False, 600.0)
    assert gate.rounds[-1] == GateRound(40, 0, 0.0)


async def test_a_dead_service_is_refused_within_a_minute() -> None:
    gate = Gate(lambda job, at: BAD)

    report = await gate.run()

    assert [finding.kind for finding in report.findings] == [FindingKind.MORE_FAILURES]
    assert report.is_early
    assert gate.clock.seconds <= 60.0


@pytest.mark.parametrize("crashes_at", [60.0, 300.0])
async def test_a_service_that_dies_later_is_refused_within_two_minutes(crashes_at: float) -> None:
    gate = Gate(lambda job, at: BAD if at >= crashes_at else OK)

    report = await gate.run()

    assert report.is_early
    assert gate.clock.seconds <= crashes_at + 120.0


async def test_a_single_failure_does_not_end_it() -> None:
    gate = Gate(lambda job, at: BAD if at == 30.0 else OK)

    report = await gate.run()

    assert (report.is_accepted, gate.clock.seconds) == (True, 600.0)


async def test_an_outage_of_the_scheduler_in_between_is_a_note() -> None:
    gate = Gate(lambda job, at: OK)
    gate.scheduler.unavailable = (100.0, 200.0)

    report = await gate.run()

    assert report.is_accepted
    assert set(report.notes) == {"runs were not started: it is away", "runs were not read: it is away"}


async def test_a_scheduler_that_does_not_answer_at_the_end_proves_nothing() -> None:
    gate = Gate(lambda job, at: OK)
    gate.scheduler.unavailable = (500.0, 10_000.0)

    report = await gate.run()

    assert [finding.kind for finding in report.findings] == [FindingKind.UNAVAILABLE]
    assert gate.clock.seconds <= 660.0


async def test_runs_that_do_not_finish() -> None:
    gate = Gate(lambda job, at: None, duration=30.0)

    report = await gate.run()

    assert [finding.kind for finding in report.findings] == [FindingKind.NO_RUN]
    assert "2 runs have not finished" in report.notes
    assert gate.clock.seconds == pytest.approx(90.0)


async def test_the_last_run_may_finish_after_the_end() -> None:
    gate = Gate(lambda job, at: None, duration=20.0)
    sleep = gate.clock.sleep

    async def finish(seconds: float) -> None:
        await sleep(seconds)
        if gate.clock.seconds > 25:
            gate.scheduler.runs = [list_run("a", OK) for _ in gate.scheduler.runs]

    gate.clock.sleep = finish  # type: ignore[method-assign]

    report = await gate.run()

    assert report.is_accepted
    assert gate.clock.seconds < 30


async def test_a_job_that_is_observed_only_is_not_started() -> None:
    gate = Gate(lambda job, at: OK, GateJob("a", None), GateJob("c", None, "its effect is once"), duration=20.0)

    report = await gate.run()

    assert {run.job for run in gate.scheduler.runs} == {"a"}
    assert report.is_accepted
    assert "c was observed only: its effect is once" in report.notes


async def test_why_a_job_was_not_started_is_a_note() -> None:
    report = await Gate(lambda job, at: OK, GateJob("b", None), duration=20.0, before={}).run()

    assert report.notes == ["not started: b: there is no such job"]


def test_scheduled_runs_that_are_left_count_as_possible_successes() -> None:
    """Each second a run: four failures of many are not certain yet."""
    job = JobDefinition.model_validate({"name": "a", "schedule": "every 1s", "check": {"url": "https://x.example/"}})
    request = GateRequest([GateJob("a", job.schedule), GateJob("b", None, "x")], NOW, NOW, 600.0, 3600.0)

    remaining = count_remaining(request, {"b": 2}, 300.0)

    assert remaining["a"] >= 300 + 20
    assert remaining["b"] == 2


@pytest.mark.parametrize(
    ("trigger", "outcome", "expected"),
    [
        ("schedule", "succeeded", ObservedRun("a", OK)),
        ("manual", "failed", ObservedRun("a", BAD)),
        ("schedule", "timed_out", ObservedRun("a", BAD)),
        ("schedule", "rejected", ObservedRun("a", BAD)),
        ("schedule", "skipped", ObservedRun("a", None)),
        ("schedule", "cancelled", ObservedRun("a", None)),
        ("schedule", "running", ObservedRun("a", None, is_open=True)),
        ("dependency", "queued", ObservedRun("a", None, is_open=True)),
        ("backfill", "failed", None),
        ("replay", "failed", None),
    ],
)
def test_which_runs_count(trigger: str, outcome: str, expected: ObservedRun | None) -> None:
    assert observe_run(ListedRun("a", trigger, outcome, 100.0)) == expected


def test_an_unknown_run_verifies_nothing() -> None:
    observed = observe_run(ListedRun("a", "schedule", "skipped", 100.0, "unknown"))
    assert observed == ObservedRun("a", None, is_unknown=True)


def test_the_jobs_of_a_gate() -> None:
    def job(name: str, **more: Any) -> RunningJob:
        fields = {"schedule": None, "check": {"url": "https://x.example/"}, "tags": {"team": "payments"}, **more}
        return RunningJob(JobDefinition.model_validate({"name": name, **fields}), "jobs/a.yaml:1")

    beat = {"kind": "heartbeat", "token": {"secret": "t"}, "period": "1h"}
    jobs = select_gate_jobs(
        [
            job("api"),
            job("off", enabled=False),
            job("beat", check=beat),
            job("other", tags={"team": "x"}),
            job("book", effect="once"),
            job("export"),
            job("mail", effect="once", depends_on=["middle"], tags={}),
            job("middle", depends_on=["export"], tags={}),
        ],
        JobSelection(tags=(TagFilter("team", "payments"),)),
    )

    assert {each.name: each.observed_only for each in jobs} == {
        "api": "",
        "book": "its effect is once",
        "export": "mail depends on it, and its effect is once",
    }
