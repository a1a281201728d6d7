"""Runs the jobs of a deployment for a time, and ends early when the result is certain.

`GateScheduler` is what it needs of a scheduler; ApiScheduler and StoreScheduler of scheduler.features.delivery
implement it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Final, Protocol

from jobs.formats import format_count
from jobs.ports import Clock
from jobs.runs.outcomes import ReasonCode
from jobs.schedules import to_milliseconds
from jobs.targets import HeartbeatTarget
from scheduler.dispatch.port import DispatchError
from scheduler.errors import OperationError
from scheduler.features.delivery.remote import RemoteError
from scheduler.features.gate.judgement import (
    FindingKind,
    GateFinding,
    GatePolicy,
    JobEvidence,
    RunSample,
    judge,
    judge_early,
)
from scheduler.stores.port import StoreError

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.schedules import Schedule
    from scheduler.features.delivery.port import ListedRun, RunningJob
    from scheduler.features.jobs.selection import JobSelection

EXCLUDED_TRIGGERS = frozenset({"backfill", "replay"})
"""Runs of past instants are not about what is deployed."""
COUNTED_OUTCOMES = {"succeeded": True, "failed": False, "timed_out": False, "rejected": False}
"""Whether a run succeeded. Skipped and cancelled runs are not counted."""
OPEN_STATES = frozenset({"queued", "running"})
RUN_INTERVAL: Final = 15.0
"""Seconds between two runs of each job."""
LAST_RUNS_TIMEOUT: Final = 60.0
"""Seconds after the end for runs that have not finished."""
_LAST_RUNS_PAUSE: Final = 2.0
_MAX_COUNTED: Final = 10_000
"""Due instants that are counted of a job."""
_MAX_NOTES: Final = 20


UNAVAILABLE: Final = (RemoteError, StoreError, DispatchError, OperationError)
"""What a scheduler raises if it or its store does not answer, or refuses a request."""


@dataclass(frozen=True, slots=True)
class ObservedRun:
    """A run. `sample` None: it is not counted. `is_open`: it has not finished. `is_unknown`: it verifies nothing."""

    job: str
    sample: RunSample | None
    is_open: bool = False
    is_unknown: bool = False


def observe_run(run: ListedRun) -> ObservedRun | None:
    """Return what a gate counts of a run. None: a run of a past instant."""
    if run.trigger in EXCLUDED_TRIGGERS:
        return None
    succeeded = COUNTED_OUTCOMES.get(run.outcome)
    sample = None if succeeded is None else RunSample(succeeded, run.duration_ms or 0.0)
    return ObservedRun(run.job, sample, run.outcome in OPEN_STATES, run.reason == ReasonCode.UNKNOWN)


class GateScheduler(Protocol):
    """Every method raises UNAVAILABLE."""

    async def read_now(self) -> datetime:
        """Return the current instant by the clock of the scheduler."""
        ...

    async def read_jobs(self) -> Sequence[RunningJob]:
        """Return the jobs in force, by name."""
        ...

    async def mark(self, text: str, tags: Mapping[str, str], at: datetime) -> None:
        """Mark a deployment in the charts of the jobs that have all of these tags."""
        ...

    async def start_runs(self, names: Sequence[str]) -> Sequence[str]:
        """Start a run of each job. Return why others did not start, a sentence each."""
        ...

    async def read_runs(self, names: Sequence[str], since: datetime, until: datetime | None) -> Sequence[ListedRun]:
        """Return the runs of these jobs that are due from `since` on, before `until`."""
        ...


@dataclass(frozen=True, slots=True)
class GateJob:
    """`observed_only`: why the gate does not start runs of it; empty: it does."""

    name: str
    schedule: Schedule | None
    observed_only: str = ""

    @property
    def is_started(self) -> bool:
        return not self.observed_only


def select_gate_jobs(running: Sequence[RunningJob], selection: JobSelection) -> Sequence[GateJob]:
    """Return the enabled jobs that match. Heartbeats are not part of a gate: they wait for pings."""
    jobs = {each.job.name: each.job for each in running}
    dependents: dict[str, list[str]] = {}
    for job in jobs.values():
        for dependency in job.depends_on:
            dependents.setdefault(dependency.job, []).append(job.name)
    return [
        GateJob(job.name, job.schedule, _explain(job, jobs, dependents))
        for job in jobs.values()
        if job.enabled and selection.matches_definition(job) and not isinstance(job.check, HeartbeatTarget)
    ]


def _explain(job: JobDefinition, jobs: dict[str, JobDefinition], dependents: dict[str, list[str]]) -> str:
    """A run starts its dependents: none of them may have an effect that must not be repeated."""
    if job.effect == "once":
        return "its effect is once"
    waiting, visited = [*dependents.get(job.name, ())], set[str]()
    while waiting:
        name = waiting.pop()
        if name in visited:
            continue
        visited.add(name)
        if jobs[name].effect == "once":
            return f"{name} depends on it, and its effect is once"
        waiting += dependents.get(name, ())
    return ""


@dataclass(frozen=True, slots=True)
class GateRequest:
    """`deployed_at`, `started_at`: by the clock of the scheduler. `duration`: seconds that the gate takes.

    `before`: seconds before the deployment with which it is compared.
    """

    jobs: Sequence[GateJob]
    deployed_at: datetime
    started_at: datetime
    duration: float
    before: float


@dataclass(frozen=True, slots=True)
class GateRound:
    """The state after the runs were read, for progress. `left`: seconds until the end."""

    finished: int
    failed: int
    left: float


@dataclass(frozen=True, slots=True)
class GateReport:
    """`findings`: none: the deployment is accepted. `is_early`: the result was certain before the end."""

    request: GateRequest
    evidence: Sequence[JobEvidence]
    findings: Sequence[GateFinding]
    ended_at: datetime
    is_early: bool
    notes: Sequence[str] = ()

    @property
    def is_accepted(self) -> bool:
        return not self.findings


@dataclass(slots=True)
class _Observed:
    """What is known of the runs. `unavailable`: why they could not be read the last time."""

    before: Mapping[str, Sequence[RunSample]]
    after: Mapping[str, Sequence[RunSample]] = field(default_factory=dict)
    open_runs: Mapping[str, int] = field(default_factory=dict)
    unknown_runs: Mapping[str, int] = field(default_factory=dict)
    unavailable: str = ""


class GateWatch:
    """`clock` sleeps and measures the time; instants are those of the scheduler."""

    def __init__(
        self,
        scheduler: GateScheduler,
        clock: Clock,
        policy: GatePolicy,
        on_round: Callable[[GateRound], None] = lambda round: None,
    ) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._policy = policy
        self._on_round = on_round
        self._notes: dict[str, None] = {}

    async def run(self, request: GateRequest) -> GateReport:
        """Run the jobs at once and every RUN_INTERVAL, and judge the runs. Raises UNAVAILABLE: not even once."""
        names = [job.name for job in request.jobs]
        since = request.deployed_at - timedelta(seconds=request.before)
        before = _observe(await self._scheduler.read_runs(names, since, request.deployed_at))
        observed = _Observed(_group(before))
        end = self._clock.monotonic() + request.duration
        while (seconds_left := end - self._clock.monotonic()) > 0:
            await self._start(request)
            await self._clock.sleep(min(RUN_INTERVAL, seconds_left))
            seconds_left = end - self._clock.monotonic()
            await self._look(request, observed, seconds_left)
            if seconds_left > 0 and not observed.unavailable:
                remaining = count_remaining(request, observed.open_runs, seconds_left)
                if findings := judge_early(_join(request, observed), remaining, self._policy):
                    return await self._report(request, observed, findings, is_early=True)
        await self._wait_for_last_runs(request, observed)
        return await self._report(request, observed, self._judge(request, observed), is_early=False)

    async def _start(self, request: GateRequest) -> None:
        names = [job.name for job in request.jobs if job.is_started]
        try:
            self._add_notes(f"not started: {reason}" for reason in await self._scheduler.start_runs(names))
        except UNAVAILABLE as error:
            self._add_notes([f"runs were not started: {error}"])

    async def _look(self, request: GateRequest, observed: _Observed, seconds_left: float) -> None:
        try:
            names = [job.name for job in request.jobs]
            runs = _observe(await self._scheduler.read_runs(names, request.deployed_at, None))
        except UNAVAILABLE as error:
            observed.unavailable = str(error)
            self._add_notes([f"runs were not read: {error}"])
            return
        observed.unavailable, observed.after = "", _group(runs)
        observed.open_runs = Counter(run.job for run in runs if run.is_open)
        observed.unknown_runs = Counter(run.job for run in runs if run.is_unknown)
        samples = [run.sample for run in runs if run.sample is not None]
        self._on_round(GateRound(len(samples), sum(not sample.succeeded for sample in samples), max(0.0, seconds_left)))

    async def _wait_for_last_runs(self, request: GateRequest, observed: _Observed) -> None:
        until = self._clock.monotonic() + LAST_RUNS_TIMEOUT
        while any(observed.open_runs.values()) or observed.unavailable:
            if self._clock.monotonic() >= until:
                break
            await self._clock.sleep(_LAST_RUNS_PAUSE)
            await self._look(request, observed, 0.0)
        if count := sum(observed.open_runs.values()):
            self._add_notes([f"{format_count(count, 'run has', 'runs have')} not finished"])

    def _judge(self, request: GateRequest, observed: _Observed) -> Sequence[GateFinding]:
        findings = list(judge(_join(request, observed), self._policy))
        if observed.unavailable:
            findings.append(GateFinding(FindingKind.UNAVAILABLE, "", observed.unavailable))
        return findings

    async def _report(
        self, request: GateRequest, observed: _Observed, findings: Sequence[GateFinding], *, is_early: bool
    ) -> GateReport:
        try:
            now = await self._scheduler.read_now()
        except UNAVAILABLE:
            now = self._clock.now()
        self._add_notes(
            f"{job.name} was observed only: {job.observed_only}" for job in request.jobs if not job.is_started
        )
        return GateReport(request, _join(request, observed), findings, now, is_early, [*self._notes][:_MAX_NOTES])

    def _add_notes(self, notes: Iterable[str]) -> None:
        self._notes |= dict.fromkeys(notes)


def count_remaining(request: GateRequest, open_runs: Mapping[str, int], seconds_left: float) -> Mapping[str, int]:
    """Return how many runs of each job can still finish: rather too many than too few."""
    now = request.started_at + timedelta(seconds=request.duration - seconds_left)
    until = to_milliseconds(now + timedelta(seconds=seconds_left + RUN_INTERVAL))
    counts: dict[str, int] = {}
    for job in request.jobs:
        count = open_runs.get(job.name, 0) + (ceil(seconds_left / RUN_INTERVAL) + 1 if job.is_started else 0)
        at = to_milliseconds(now)
        while job.schedule is not None and count < _MAX_COUNTED:
            due = job.schedule.next_after_ms(at)
            if due is None or due >= until:
                break
            count, at = count + 1, due
        counts[job.name] = count
    return counts


def _observe(runs: Sequence[ListedRun]) -> list[ObservedRun]:
    return [observed for run in runs if (observed := observe_run(run)) is not None]


def _group(runs: Sequence[ObservedRun]) -> Mapping[str, Sequence[RunSample]]:
    by_job: dict[str, list[RunSample]] = {}
    for run in runs:
        if run.sample is not None:
            by_job.setdefault(run.job, []).append(run.sample)
    return by_job


def _join(request: GateRequest, observed: _Observed) -> Sequence[JobEvidence]:
    return [
        JobEvidence(
            job.name,
            observed.before.get(job.name, ()),
            observed.after.get(job.name, ()),
            job.is_started,
            observed.unknown_runs.get(job.name, 0),
        )
        for job in request.jobs
    ]
