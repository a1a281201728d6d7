"""The checks that a deployed version has to pass again and again. Each returns a problem, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.app.api import ApiError, RunAnswer
from delivery.app.runs import BUCKET, RunSample, find_missing_runs, find_new_failures, read_runs
from delivery.clock import format_duration
from delivery.context import Context
from delivery.record import Record

CANARY_WAIT = 30.0
"""Seconds that one request waits for a run of the canary job."""
CANARY_INTERVAL = 60.0
"""Seconds between two runs of the canary job during the soak."""


@dataclass(frozen=True)
class Check:
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
        self._limits = context.environment.verify
        self._api = context.api()

    def all(self) -> list[Check]:
        """Return every check of the soak."""
        limits = self._limits
        return [
            Check("version", limits.poll, self._reported(self._find_health_problem)),
            Check("timer", limits.poll, self._reported(self._find_tick_problem), limits.tick),
            Check("queue", CANARY_INTERVAL, self._reported(self._find_canary_problem), limits.canary),
            Check("failures", limits.looks, self._reported(self._find_failures)),
            Check("runs", limits.looks, self._reported(self._find_missing_runs), is_soak_only=True),
        ]

    def _reported(self, find_problem: Callable[[], str]) -> Callable[[], str]:
        """Return the check with an error of the API as its problem."""

        def find() -> str:
            try:
                return find_problem()
            except ApiError as error:
                return str(error)

        return find

    def _find_health_problem(self) -> str:
        health = self._api.read_health()
        if health.version != self._record.version:
            return f"version {health.version} answers, not {self._record.version}"
        return "" if health.is_ready else f"not ready: {', '.join(health.down) or 'unknown part'} down"

    def _find_tick_problem(self) -> str:
        tick = self._api.read_last_tick()
        if tick is None or tick <= self._since:
            last = f"the last one was at {tick:%H:%M:%S}" if tick else "without one before"
            return f"the timer does not plan: no tick of this version, {last}; check the function tick and its log"
        age = (self._context.clock.now() - tick).total_seconds()
        if age <= self._limits.tick:
            return ""
        return f"the timer does not plan: no tick for {format_duration(age)}; check the function tick and its log"

    def _find_canary_problem(self) -> str:
        """Start a run and wait for it. It goes through the queue as every other run."""
        wait = min(CANARY_WAIT, self._limits.canary)
        run = self._api.start_run(self._context.environment.canary, wait)
        return _problem_of_canary(run, wait)

    def _find_failures(self) -> str:
        sample = self._read_sample()
        return "" if sample is None else find_new_failures(self._record.runs, sample, self._limits.failing)

    def _find_missing_runs(self) -> str:
        sample = self._read_sample()
        return "" if sample is None else find_missing_runs(self._record.runs, sample, self._limits.runs)

    def _read_sample(self) -> RunSample | None:
        """Return the runs since the version serves; None while they are too few to count."""
        until = self._context.clock.now() - timedelta(seconds=self._limits.lag)
        if (until - self._since).total_seconds() < BUCKET:
            return None
        return read_runs(self._api, self._since, until)


def _problem_of_canary(run: RunAnswer, wait: float) -> str:
    if run.outcome == "succeeded":
        return ""
    if not run.outcome:
        state = f"is {run.state} after {format_duration(wait)}"
        return f"the run {run.id} {state}: the queue is not read; check the functions work and bury, and their roles"
    return f"the run {run.id} of the canary job {run.outcome}: {run.message or 'without a message'}"
