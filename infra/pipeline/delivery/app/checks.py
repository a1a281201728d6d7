"""The checks that a deployed version has to pass again and again. Each returns a problem, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.app.api import AccessRefused, AppError
from delivery.app.runs import BUCKET, ScheduledRuns, find_missing_runs, find_new_failures, read_runs
from delivery.clock import format_duration
from delivery.context import Context
from delivery.errors import DeliveryError
from delivery.record import Record

CANARY_WAIT = 30.0
"""Seconds that one request waits for a run of the canary job."""
CANARY_INTERVAL = 60.0
"""Seconds between two runs of the canary job during the soak."""


class PreviousVersionAnswers(DeliveryError):
    """An instance of the previous version still gets requests."""


@dataclass(frozen=True)
class DeploymentCheck:
    """`every`: seconds between two executions. `find_problem`: returns a message, empty if all is well.

    `grace`: seconds in which a first success is awaited, so that problems do not count. `is_soak_only`: it is made once
    all others have succeeded.
    """

    name: str
    every: float
    find_problem: Callable[[], str]
    grace: float = 0.0
    is_soak_only: bool = False


class DeploymentChecks:
    """The checks of one deployment. `since`: from when on the version serves alone."""

    def __init__(self, context: Context, record: Record, since: datetime) -> None:
        self._context = context
        self._record = record
        self._since = since
        self._clock_difference = timedelta()
        """Time of the scheduler minus time of this machine."""
        self._ticks = set[datetime]()
        self._sample: ScheduledRuns | None = None
        """Read once for both checks of runs: it can be thousands of runs."""
        self._sample_at = since
        self._limits = context.environment.verify
        self._api = context.api()

    def all(self) -> list[DeploymentCheck]:
        """Return every check of the soak."""
        limits = self._limits
        return [
            DeploymentCheck("version", limits.poll, self._reported(self._find_health_problem)),
            DeploymentCheck("timer", limits.poll, self._reported(self._find_tick_problem), limits.tick),
            DeploymentCheck("queue", CANARY_INTERVAL, self._reported(self._find_canary_problem), limits.canary),
            DeploymentCheck("failures", limits.looks, self._reported(self._find_failures)),
            DeploymentCheck("runs", limits.looks, self._reported(self._find_missing_runs), is_soak_only=True),
        ]

    def _reported(self, find_problem: Callable[[], str]) -> Callable[[], str]:
        """Return the check with an error of the API as its problem, except a key that is refused."""

        def find() -> str:
            try:
                return find_problem()
            except AccessRefused:
                raise
            except AppError as error:
                return str(error)

        return find

    def _find_health_problem(self) -> str:
        health = self._api.read_health()
        if health.version == self._record.previous.version != self._record.version:
            raise PreviousVersionAnswers(f"version {health.version} answers again, not only {self._record.version}")
        if health.version != self._record.version:
            return f"version {health.version} answers, not {self._record.version}"
        return "" if health.is_ready else f"not ready: {', '.join(health.down) or 'unknown part'} down"

    def _find_tick_problem(self) -> str:
        tick, now = self._api.read_last_tick(), self._context.clock.now()
        elapsed, advice = (now - self._since).total_seconds(), "check the function tick and its log"
        if tick is None or tick.age >= elapsed:
            last = f"the last one was at {tick.at:%H:%M:%S}" if tick else "without one before"
            return f"the timer does not plan: no tick of this version, {last}; {advice}"
        self._clock_difference = tick.server_time - now
        self._ticks.add(tick.at)
        if tick.age > self._limits.tick:
            return f"the timer does not plan: no tick for {format_duration(tick.age)}; {advice}"
        if elapsed > self._limits.tick and len(self._ticks) == 1:  # which can be one of the previous version
            return f"the timer does not plan: one tick in {format_duration(elapsed)}; {advice}"
        return ""

    def _find_canary_problem(self) -> str:
        """Start a run and wait for it. It goes through the queue as every other run."""
        return run_canary(self._context)

    def _find_failures(self) -> str:
        return self._judge_sample(lambda sample: find_new_failures(self._record.runs, sample, self._limits.failing))

    def _find_missing_runs(self) -> str:
        return self._judge_sample(lambda sample: find_missing_runs(self._record.runs, sample, self._limits.runs))

    def _judge_sample(self, find_problem: Callable[[ScheduledRuns], str]) -> str:
        sample = self._read_sample()
        problem = "" if sample is None else find_problem(sample)
        if problem:
            self._sample = None  # a problem counts once it is found in newer runs, too
        return problem

    def _read_sample(self) -> ScheduledRuns | None:
        """Return the runs since the version serves; None while they are too few to count."""
        now = self._context.clock.now()
        until = now - timedelta(seconds=self._limits.lag)
        if (until - self._since).total_seconds() < BUCKET:
            return None
        if self._sample is None or (now - self._sample_at).total_seconds() >= self._limits.looks / 2:
            difference = self._clock_difference
            self._sample = read_runs(self._api, self._since + difference, until + difference)
            self._sample_at = now
        return self._sample


def run_canary(context: Context) -> str:
    """Run the canary job once. Return a problem; empty: it succeeded. Raises AppError."""
    wait = min(CANARY_WAIT, context.environment.verify.canary)
    run = context.api().start_run(context.environment.canary, wait)
    if run.outcome == "succeeded":
        return ""
    if not run.outcome:
        state = f"is {run.state} after {format_duration(wait)}"
        return f"the run {run.id} {state}: the queue is not read; check the functions work and bury, and their roles"
    return f"the run {run.id} of the canary job {run.outcome}: {run.message or 'without a message'}"
