"""`verify`: the version serves, plans and runs jobs, no worse than before, and still does after a soak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from delivery.app.checks import DeploymentCheck, DeploymentChecks, PreviousVersionAnswers
from delivery.app.runs import BUCKET
from delivery.clock import format_duration
from delivery.context import Context, how_to_roll_back
from delivery.errors import DeliveryError, UnusableInput
from delivery.jobs import require_job_images
from delivery.record import DEPLOYING, ROLLED_BACK, VERIFIED, Record, RecordFile, with_state

MAX_SEQUENCE = 2
"""Problems of one check in sequence that fail the verification: a single lost request does not."""
MAX_PROBLEMS = 3
"""Problems of one check in the whole soak, for a version that crashes and comes back."""


def verify(context: Context, version: str, record_path: Path) -> None:
    """Verify a deployment. Raises DeliveryError with the first finding."""
    context.require_keys("read", "operate")
    file = RecordFile(record_path)
    if context.dry_run and not record_path.exists():
        _report_plan(context, version)
        return
    record = file.read()
    _check_record(context, version, record)
    if context.dry_run:
        _report_plan(context, version)
        return
    try:
        require_job_images(context, dict.fromkeys(record.jobs, record.image))
        _verify(context, record)
    except DeliveryError as error:
        raise DeliveryError(f"{error}\n{how_to_roll_back(context, record_path)}") from None
    file.write(with_state(record, VERIFIED))
    context.reporter.report(f"version {version} is verified")


def _verify(context: Context, record: Record) -> None:
    limits, clock = context.environment.verify, context.clock
    end = clock.now() + timedelta(seconds=limits.within)
    shortest = limits.lag + BUCKET  # in which runs can be counted
    while True:
        context.waiting().wait_for_version(record.version, max((end - clock.now()).total_seconds(), limits.poll))
        context.reporter.report("waiting for a tick, and for a run of the canary job")
        checks = DeploymentChecks(context, record, clock.now()).all()
        try:
            Soak(context, checks).run(max(limits.soak, shortest))
            return
        except PreviousVersionAnswers as error:
            if clock.now() >= end:
                raise
            context.reporter.report(f"{error}; all checks start again")


@dataclass
class _State:
    """`due`: when the check is made next. `passed_at`: of its last success."""

    check: DeploymentCheck
    due: datetime
    sequence: int = 0
    problems: int = 0
    passed_at: datetime | None = None
    last: str = ""


class Soak:
    """Repeats checks: until each has succeeded, and then for some time, at whose end each has to succeed once more."""

    def __init__(self, context: Context, checks: list[DeploymentCheck]) -> None:
        self._context = context
        self._clock = context.clock
        self._start = context.clock.now()
        self._states = [_State(check, self._start) for check in checks]

    def run(self, seconds: float) -> None:
        """Raise DeliveryError as soon as a check has failed."""
        first = [state for state in self._states if not state.check.is_soak_only]
        self._repeat_until(self._start, first)
        self._context.reporter.report(f"every check succeeded; repeating them for {format_duration(seconds)}")
        self._repeat_until(self._clock.now() + timedelta(seconds=seconds), self._states)

    def _repeat_until(self, end: datetime, states: Sequence[_State]) -> None:
        """Make the checks until each has succeeded at or after this instant."""
        while not all(state.passed_at is not None and state.passed_at >= end for state in states):
            for state in states:
                if self._clock.now() >= state.due:
                    self._make(state, end)
            self._clock.sleep(self._context.environment.verify.poll)

    def _make(self, state: _State, end: datetime) -> None:
        problem = state.check.find_problem()
        now = self._clock.now()
        if not problem:
            every = timedelta(seconds=state.check.every)
            state.sequence, state.passed_at = 0, now
            # The last one is made at the end, however long the interval is.
            state.due = min(now + every, end) if now < end else now + every
            return
        state.due = now
        if problem != state.last:
            self._context.reporter.report(f"{state.check.name}: {problem}")
            state.last = problem
        if state.passed_at is None and (now - self._start).total_seconds() < state.check.grace:
            return
        state.sequence, state.problems = state.sequence + 1, state.problems + 1
        if state.sequence >= MAX_SEQUENCE or state.problems >= MAX_PROBLEMS:
            raise DeliveryError(f"{state.check.name}: {problem}")


def _check_record(context: Context, version: str, record: Record) -> None:
    if record.environment != context.environment.name:
        raise UnusableInput(f"--record: the record is of {record.environment}, not of {context.environment.name}.")
    if record.version != version:
        raise UnusableInput(f"--version: the record is of version {record.version}, not of {version}.")
    if record.state == ROLLED_BACK:
        raise UnusableInput("--record: this deployment was rolled back: run `deploy` again.")
    if record.state == DEPLOYING:
        raise DeliveryError("the deployment did not come to its end: run `rollback` with this record.")


def _report_plan(context: Context, version: str) -> None:
    url, limits = context.environment.url, context.environment.verify
    for line in (
        f"GET {url}/api/health/ready until version {version} is ready, at most {format_duration(limits.within)}",
        f"GET {url}/api/watchdog until a later tick, at most {format_duration(limits.tick)}",
        f"POST {url}/api/jobs/{context.environment.canary}/run?wait=30s until a run succeeds",
        f"GET {url}/api/runs each {format_duration(limits.looks)}: no fewer runs, no more failing jobs than recorded",
        f"all of these again for {format_duration(limits.soak)}",
    ):
        context.reporter.report(line)
