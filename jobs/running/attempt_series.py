"""The attempts of one run: observe the target, judge the answer, retry by the policy, within the time of the run.

What a run does at its target is separate from what the scheduler decides about it (jobs.running.runner): an
`AttemptSeries` needs no store and no state of other runs, so it can be performed in another process
(scheduler.processes).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import PhaseClock, SendPermission, describe_deadline
from jobs.checks.port import AttemptContext, Check
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded
from jobs.expectations import is_expected_error, judge
from jobs.fast_frozen import copy_with, fast_frozen
from jobs.judging import ExpectationVerdict, Judge, Judgement, JudgingUnavailable
from jobs.judging.port import QUEUE_TIMEOUT_SECONDS
from jobs.ports import Clock
from jobs.redaction import Redactor
from jobs.redaction.value_holders import RunSecrets
from jobs.running.attempt_details import DEFAULT_EXCERPT_BYTES
from jobs.running.attempts import (
    SHORTEST_ATTEMPT,
    AttemptResult,
    RetryRules,
    has_rejected_credentials,
    refresh_credentials,
    retry_until_decided,
    should_retry,
)
from jobs.running.clocks import LostTime, run_with_deadline
from jobs.running.retry_budget import describe_no_time_left, host_with_port
from jobs.running.run_factories import build_attempt, is_about_time, mark_starved
from jobs.running.starvation import StarvationMeter
from jobs.runs import Attempt, ErrorClass, Failure, Observation, Phases
from jobs.targets import can_be_unknown

_log = logging.getLogger("jobs.running")

EXCUSING_SHARE = 0.1
"""Of the time limit of an attempt: lost time of so much makes a run unable to judge its target."""
EXCUSING_LACK = 0.25
"""The same of lack of CPU, in which the process runs between its waits."""
_SHORTEST_JUDGING_WAIT = 2.0
"""Minimum seconds that a judgement waits for those of other jobs, even if the run's time is over."""


@fast_frozen(frozen=True, slots=True)
class SeriesResult:
    """All attempts of a run, and what the last one leaves to say."""

    attempts: tuple[Attempt, ...]
    finished_at: datetime
    is_overdue: bool = False
    """Whether the time of the run ended before another attempt could start."""
    note: str = ""
    """Why no further attempt was made."""
    pending: str = ""
    """Why the last attempt, which did not fail, cannot judge the target yet."""
    is_unknown: bool = False
    """Whether the last attempt could not tell the state of the target; its message is why."""
    lost_s: float = 0.0
    """Seconds of the last attempt for which the process did not run."""
    lack_s: float = 0.0
    """Seconds of the last attempt for which the process lacked CPU, if that makes its response time unreliable."""
    traceback: str = ""
    """Of the last internal error, redacted."""


class RetrySupervisor(Protocol):
    """What decides about the retries of a run, and publishes them: the scheduler knows the retries of other runs."""

    async def request_retry(self) -> str:
        """Return why the target's retry budget allows no further attempt, a sentence; "" if it allows one."""
        ...

    def publish_retry(self, attempt: Attempt) -> None:
        """Publish a failed attempt that is repeated after its `wait_ms`."""
        ...


class AttemptExecution(Protocol):
    """The attempts of one run, in this process or another one. Used once."""

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts so far, as far as they are known here."""
        ...

    async def run(self) -> SeriesResult:
        """Make all attempts. When it is cancelled, no further request is sent.

        Raises:
            LeaseEnded: nothing may be sent any more; the run has no result.
        """
        ...


class AttemptExecutor(Protocol):
    """Makes attempts."""

    def start(
        self, job: JobDefinition, run_id: str, permission: SendPermission, supervisor: RetrySupervisor
    ) -> AttemptExecution:
        """Return the attempts of a run, which `run` makes."""
        ...


class ExecutorChoice(Protocol):
    """Makes attempts elsewhere, or in this process where that is not possible."""

    def use_local(self, local: AttemptExecutor) -> AttemptExecutor:
        """Return what makes the attempts. `local`: makes them in this process."""
        ...


@dataclass(frozen=True, slots=True)
class LocalAttempts:
    """Makes the attempts in this process. Its parts are shared by all runs."""

    checks: Mapping[str, Check]
    clock: Clock
    redactor: Redactor
    random: Callable[[], float]
    bodies: BodyMemory
    judges: Judge
    lost_time: LostTime
    starvation: StarvationMeter

    def start(
        self, job: JobDefinition, run_id: str, permission: SendPermission, supervisor: RetrySupervisor
    ) -> AttemptSeries:
        """Return the attempts of a run."""
        return AttemptSeries(self, job, run_id, permission, supervisor)


def lacked_much(lost_s: float, lack_s: float, limit_s: float) -> bool:
    """Return whether a process did not run, or lacked CPU, for so long that a timeout may be its own.

    `limit_s`: the time limit of the attempt, in seconds.
    """
    return lost_s >= EXCUSING_SHARE * limit_s or lack_s >= EXCUSING_LACK * limit_s


class AttemptSeries:
    """Makes the attempts of one run. Call `run()` once."""

    def __init__(
        self,
        parts: LocalAttempts,
        job: JobDefinition,
        run_id: str,
        permission: SendPermission,
        supervisor: RetrySupervisor,
    ) -> None:
        self._parts = parts
        self._job = job
        self._run_id = run_id
        self._permission = permission
        self._supervisor = supervisor
        self._ends_at = 0.0
        self._lost_before = 0.0
        self._lost_s = 0.0
        self._lack_s = 0.0
        self._has_second_look = False
        self._note = ""
        self._pending = ""
        self._is_unknown = False
        self._traceback = ""
        self._credentials_refreshed = False
        self._values = RunSecrets()
        self.attempts: list[Attempt] = []
        """The attempts so far."""

    async def run(self) -> SeriesResult:
        """Make all attempts. Raises LeaseEnded: nothing may be sent any more; the run has no result."""
        parts = self._parts
        try:
            with parts.lost_time:
                self._ends_at = parts.clock.monotonic() + self._job.timeout.run
                self._lost_before = parts.lost_time.total()
                last = await self._run_attempts()
        finally:
            self._values.close()  # everything that leaves this run is redacted by now
        return SeriesResult(
            tuple(self.attempts),
            parts.clock.now(),
            last is None,
            self._note,
            self._pending,
            self._is_unknown,
            self._lost_s,
            self._lack_s,
            self._traceback,
        )

    async def _run_attempts(self) -> AttemptResult | None:
        """Return the last attempt; None if the run's time ended before the next one could start."""
        policy, idempotent = self._job.retry, self._job.check.idempotent
        first = await self._make_attempt()
        # The fast path: an immediate success never builds the retry machinery below.
        if first is None or policy.attempts == 1 or not should_retry(policy, idempotent, first.attempt):
            return first
        rules = RetryRules(
            policy,
            idempotent,
            self._time_left,
            self._parts.random,
            self._parts.clock.sleep,
            self._publish_retry,
            self._note_no_time_left,
            self._acquire_retry,
        )
        return await retry_until_decided(first, self._make_attempt, rules)

    async def _make_attempt(self) -> AttemptResult | None:
        """Make one attempt; repeat it at once if its credentials were rejected and new ones are available."""
        time_left = self._time_left()
        if time_left <= 0:
            return None
        started_at = self._parts.clock.now()
        room = self._parts.bodies.open_reservation(self._job.name, host_with_port(self._job.check.endpoint))
        job, number = self._job, len(self.attempts) + 1
        call = AttemptContext(
            self._run_id,
            number,
            PhaseClock(self._parts.lost_time.running_time, permission=self._permission),
            values=self._values,
            tags=job.tags,
            telemetry=job.telemetry,
            body_reservation=room,
        )
        try:
            result = await self._observe_attempt(call, started_at, time_left)
        finally:
            room.close()
        if self._needs_second_look(result.attempt):
            self._has_second_look = True
            self._publish_retry(result, 0.0)
            return await self._make_attempt()
        if not call.credential_refreshes or self._credentials_refreshed or not has_rejected_credentials(result.attempt):
            return result
        return await self._retry_with_new_credentials(result, call)

    async def _observe_attempt(self, call: AttemptContext, started_at: datetime, time_left: float) -> AttemptResult:
        """Make one attempt and record it, without holding the answer's body."""
        starvation, lost_before = self._parts.starvation, self._parts.lost_time.total()
        lack_before = starvation.total()
        observation, failures = await self._observe(call, min(self._job.timeout.attempt, time_left))
        is_starved = starvation.is_starved(lack_before, observation.phases.total_ms)
        self._lost_s = self._parts.lost_time.total() - lost_before
        self._lack_s = starvation.total() - lack_before if is_starved else 0.0
        unjudged = tuple(filter(is_about_time, failures)) if is_starved else ()
        failures = tuple(each for each in failures if each not in unjudged) if unjudged else failures
        excerpt_bytes = getattr(self._job.check, "keep_body", DEFAULT_EXCERPT_BYTES)
        attempt = build_attempt(call.attempt, started_at, observation, failures, self._parts.redactor, excerpt_bytes)
        address = call.clock.address or observation.facts.get("remote_address") or ""
        if address and address not in self._job.check.endpoint:
            attempt = copy_with(attempt, address=address)
        if is_starved:
            attempt = mark_starved(attempt, unjudged)
        self._pending = (
            self._parts.redactor.redact(observation.pending) if observation.pending and attempt.succeeded else ""
        )
        self._is_unknown = bool(observation.unknown)
        self.attempts.append(attempt)
        return AttemptResult(attempt, observation.retry_after_s)

    def _needs_second_look(self, attempt: Attempt) -> bool:
        """Return whether to repeat a timeout of a process without CPU, once a run, regardless of the retry policy."""
        if self._has_second_look or attempt.error is None or not attempt.error.is_timeout:
            return False
        if not lacked_much(self._lost_s, self._lack_s, self._job.timeout.attempt):
            return False
        may_repeat = self._job.effect != "once" and (self._job.check.idempotent or self._job.retry.non_idempotent)
        return may_repeat and self._time_left() >= SHORTEST_ATTEMPT

    async def _retry_with_new_credentials(self, result: AttemptResult, call: AttemptContext) -> AttemptResult | None:
        """Repeat an attempt with refreshed credentials, once a run, regardless of the retry policy.

        A target that rejected a request has not processed it. Earlier steps have been processed, so a sequence is
        repeated only if the policy allows that. The retry budget does not apply: the target is available, credentials
        are refreshed less and less often, and all jobs with a rotated secret must recover.
        """
        self._credentials_refreshed = True
        refresh = await refresh_credentials(call.credential_refreshes, result.attempt.status, self._time_left())
        message = f"{result.attempt.message} {self._parts.redactor.redact(refresh.message)}"
        result = replace(result, attempt=replace(result.attempt, message=message))
        self.attempts[-1] = result.attempt
        job = self._job
        may_repeat = job.check.kind != "steps" or job.check.idempotent or job.retry.non_idempotent
        if not refresh.is_changed or not may_repeat or self._time_left() < SHORTEST_ATTEMPT:
            return result
        self._publish_retry(result, 0.0)
        return await self._make_attempt()

    def _time_left(self) -> float:
        """Return the seconds left of the run; time in which the process did not run does not count."""
        lost = self._parts.lost_time.total() - self._lost_before
        return self._ends_at + lost - self._parts.clock.monotonic()

    def _publish_retry(self, result: AttemptResult, wait_s: float) -> None:
        attempt = replace(result.attempt, wait_ms=round(wait_s * 1000, 3))
        self.attempts[-1] = attempt
        self._supervisor.publish_retry(attempt)

    def _note_no_time_left(self, result: AttemptResult, wait_s: float, left_s: float) -> None:
        self._note = describe_no_time_left(wait_s, result.retry_after_s, left_s)

    async def _acquire_retry(self) -> bool:
        self._note = await self._supervisor.request_retry()
        return not self._note

    # --- one observation ---

    async def _observe(self, call: AttemptContext, limit_s: float) -> tuple[Observation, tuple[Failure, ...]]:
        """Observe the target once and judge the answer. Raises LeaseEnded."""
        job, stopwatch = self._job, call.clock

        def on_timeout() -> Observation:
            error, message = describe_deadline(stopwatch, job.check.endpoint, limit_s)
            text, facts = f"{stopwatch.step_prefix}{message}", stopwatch.facts()
            if can_be_unknown(job.check):
                return Observation(stopwatch.stop(), unknown=text, facts=facts)
            return Observation(stopwatch.stop(), error=error, message=text, facts=facts)

        observation: Observation | None = None
        try:
            check = self._parts.checks[job.check.kind]
            lost_time = self._parts.lost_time.total
            work = check.observe(job.check, call)
            observation = await run_with_deadline(work, limit_s, on_timeout, lost_time=lost_time)
            if observation.unknown:
                return replace(observation, error=None), ()
            if observation.error is not None and not is_expected_error(observation.error, job.expect):
                return observation, ()
            verdict = await self._judge(observation)
            if verdict.health is not None:
                observation = replace(observation, health=verdict.health)
            failures = (*observation.failures, *verdict.failures)
            return observation if observation.error is None else replace(observation, error=None, message=""), failures
        except JudgingUnavailable as error:
            phases = stopwatch.stop() if observation is None else observation.phases
            return Observation(phases, error=ErrorClass.INTERNAL_ERROR, message=str(error)), ()
        except LeaseEnded:
            raise
        except Exception as error:
            return self._internal_error(error, stopwatch.stop()), ()

    async def _judge(self, observation: Observation) -> ExpectationVerdict:
        """Return the expectations that failed. Raises JudgingUnavailable."""
        job, redact = self._job, self._parts.redactor.redact
        if not job.expect:
            return ExpectationVerdict(judge(observation, (), redact))
        # The target has had its time; judging must not exceed the run's time by much.
        queue_timeout = min(max(self._time_left(), _SHORTEST_JUDGING_WAIT), QUEUE_TIMEOUT_SECONDS)
        judged = await self._parts.judges.perform(
            job.name, Judgement(observation, job.expect), redact, queue_timeout=queue_timeout
        )
        return judged.result

    def _internal_error(self, error: Exception, phases: Phases) -> Observation:
        """Turn an error of the program, or of a check's author, into an observation, so that the run is recorded."""
        # The traceback as redacted text: an exception of a library may quote a header.
        details = self._parts.redactor.redact("".join(traceback.format_exception(error)))
        self._traceback = details
        _log.error("could not finish run %s: internal error; the run fails\n%s", self._run_id, details)
        name = type(error).__name__
        message = f"Internal error {name} while checking the target; the log contains the details."
        return Observation(phases, error=ErrorClass.INTERNAL_ERROR, message=message)
