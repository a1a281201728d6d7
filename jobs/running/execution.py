"""One run in progress: circuit, attempts, result. Created by jobs.running.runner for each run, used once."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import PhaseClock
from jobs.checks.messages.timeouts import describe_deadline
from jobs.checks.port import AttemptContext, Check
from jobs.definition import JobDefinition
from jobs.expectations import is_expected_error, judge
from jobs.judging import Judge, Judgement, JudgingUnavailable
from jobs.judging.port import QUEUE_TIMEOUT_SECONDS
from jobs.ports import Clock
from jobs.redaction import Redactor
from jobs.redaction.value_holders import RunSecrets
from jobs.running.circuit_breaker.breakers import CircuitBreakers
from jobs.running.circuit_breaker.state import CircuitAdmission
from jobs.running.credential_refresh import has_rejected_credentials, refresh_credentials
from jobs.running.deadlines import CANCEL_GRACE, run_with_deadline
from jobs.running.endpoint_hosts import host_of_endpoint
from jobs.running.response_excerpt import DEFAULT_EXCERPT_BYTES
from jobs.running.retries.retry_budget import RetryBudget
from jobs.running.retries.retry_loop import (
    SHORTEST_ATTEMPT,
    AttemptResult,
    RetryRules,
    retry_until_decided,
    should_retry,
)
from jobs.running.retries.retry_messages import describe_exhausted_budget, describe_no_time_left
from jobs.running.run_factories import (
    ERRORS_UNRELATED_TO_TARGET,
    build_attempt,
    cancelled_run,
    finished_run,
    overdue_run,
    rejected_run,
    skipped_run,
)
from jobs.runs import Attempt, ErrorClass, Failure, Observation, Outcome, Phases, Run, Ticket
from jobs.runs.events import AttemptRetried, RunListener, RunStarted
from jobs.runs.reasons import Reason, ReasonCode

_log = logging.getLogger("jobs.running")

_LEAST_PATIENCE = 2.0
"""Minimum seconds that a judgement waits for those of other jobs, even if the run's time is over."""
_LEASE_MARGIN = 10.0
"""Seconds in addition to a run's timeout after which a probe counts as lost: allows for a slow circuit store."""


@dataclass(frozen=True, slots=True)
class RunnerDependencies:
    """Dependencies shared by all runs of a process."""

    checks: Mapping[str, Check]
    circuits: CircuitBreakers
    listener: RunListener
    clock: Clock
    redactor: Redactor
    random: Callable[[], float]
    budget: RetryBudget
    bodies: BodyMemory
    judges: Judge


class RunExecution:
    """Call `run_to_end()` once. After its cancellation `build_cancelled_run()` returns the run so far."""

    __slots__ = (
        "_around",
        "_attempts",
        "_ends_at",
        "_job",
        "_looked_again",
        "_note",
        "_pending",
        "_started_at",
        "_ticket",
        "_values",
        "traceback",
    )

    def __init__(self, around: RunnerDependencies, job: JobDefinition, ticket: Ticket) -> None:
        self._around = around
        self._job = job
        self._ticket = ticket
        self._started_at = around.clock.now()
        self._ends_at = 0.0
        self._attempts: list[Attempt] = []
        self._note = ""
        self._pending = ""
        """Why the last attempt, which did not fail, cannot judge the target yet."""
        self._looked_again = False
        self._values = RunSecrets()
        self.traceback = ""
        """Traceback of the last internal error, redacted."""

    async def run_to_end(self) -> Run:
        """Run the job to its end. Any error is part of the run; only a cancellation is raised."""
        try:
            return await self._finish()
        finally:
            self._values.close()  # everything that leaves this run is redacted by now

    async def _finish(self) -> Run:
        admission = await self._admit()
        if admission is not None and not admission.is_allowed:
            return rejected_run(self._job, self._ticket, self._started_at, self._around.clock.now(), admission.reason)
        around = self._around
        around.budget.record_first_attempt(self._job.check.endpoint, self._job.name, around.clock.monotonic())
        around.listener.run_started(RunStarted(self._ticket, self._job.check.endpoint, self._started_at))
        self._ends_at = around.clock.monotonic() + self._job.timeout.run
        run = self._verdict(await self._attempts_until_decided())
        if admission is not None:
            await self._record(admission, run)
        return run

    def build_cancelled_run(self, cancelled_by: str = "") -> Run:
        """Return the run so far: cancelled by a user (`cancelled_by`: how), or interrupted because the program stops."""
        now = self._around.clock.now()
        return cancelled_run(self._job, self._ticket, self._started_at, now, self._attempts, cancelled_by=cancelled_by)

    # --- circuit ---

    async def _admit(self) -> CircuitAdmission | None:
        """Ask the circuit for admission. None: the job has no circuit."""
        policy, key = self._job.circuit, self._job.circuit_key
        if policy is None or key is None:
            return None
        lease_s = self._job.timeout.run + CANCEL_GRACE + _LEASE_MARGIN
        return await self._around.circuits.admit(key, policy, self._started_at, lease_s)

    async def _record(self, admission: CircuitAdmission, run: Run) -> None:
        policy, key = self._job.circuit, self._job.circuit_key
        if policy is not None and key is not None:
            says_nothing = run.error in ERRORS_UNRELATED_TO_TARGET or run.outcome is Outcome.SKIPPED
            failed = None if says_nothing else run.outcome.down
            slow = policy.slow_call is not None and (run.response_time_ms or 0.0) > policy.slow_call * 1000
            await self._around.circuits.record(key, policy, run.finished_at, admission, failed, slow)

    # --- attempts ---

    async def _attempts_until_decided(self) -> AttemptResult | None:
        """Return the last attempt; None if the run's time ended before the next one could start."""
        policy, idempotent = self._job.retry, self._job.check.idempotent
        first = await self._try()
        # The fast path: an immediate success never builds the retry machinery below.
        if first is None or policy.attempts == 1 or not should_retry(policy, idempotent, first.attempt):
            return first
        around = self._around
        rules = RetryRules(
            policy,
            idempotent,
            self._time_left,
            around.random,
            around.clock.sleep,
            self._waits,
            self._gives_up,
            self._affordable,
        )
        return await retry_until_decided(first, self._try, rules)

    async def _try(self) -> AttemptResult | None:
        """Make one attempt; repeat it at once if its credentials were rejected and new ones are available."""
        left = self._time_left()
        if left <= 0:
            return None
        started_at = self._around.clock.now()
        room = self._around.bodies.open_reservation(self._job.name, host_of_endpoint(self._job.check.endpoint))
        number, tags = len(self._attempts) + 1, self._job.tags
        call = AttemptContext(
            self._ticket.id, number, PhaseClock(), values=self._values, tags=tags, body_reservation=room
        )
        try:
            tried = await self._tried(call, started_at, left)
        finally:
            room.close()
        if not call.credential_refreshes or self._looked_again or not has_rejected_credentials(tried.attempt):
            return tried
        return await self._with_other_credentials(tried, call)

    async def _tried(self, call: AttemptContext, started_at: datetime, left: float) -> AttemptResult:
        """Make one attempt and record it, without holding the answer's body."""
        seen, failures = await self._ask(call, min(self._job.timeout.attempt, left))
        keep = getattr(self._job.check, "excerpt_bytes", DEFAULT_EXCERPT_BYTES)
        attempt = build_attempt(call.attempt, started_at, seen, failures, self._around.redactor, keep)
        self._pending = self._around.redactor.redact(seen.pending) if seen.pending and attempt.succeeded else ""
        self._attempts.append(attempt)
        return AttemptResult(attempt, seen.retry_after_s)

    async def _with_other_credentials(self, tried: AttemptResult, call: AttemptContext) -> AttemptResult | None:
        """Repeat an attempt with refreshed credentials, once a run, regardless of the retry policy.

        A target that rejected a request has not processed it. Earlier steps have been processed, so a sequence is
        repeated only if the policy allows that. The retry budget does not apply: the target is available, credentials
        are refreshed less and less often, and all jobs with a rotated secret must recover.
        """
        self._looked_again = True
        renewal = await refresh_credentials(call.credential_refreshes, tried.attempt.status, self._time_left())
        message = f"{tried.attempt.message} {self._around.redactor.redact(renewal.message)}"
        tried = replace(tried, attempt=replace(tried.attempt, message=message))
        self._attempts[-1] = tried.attempt
        job = self._job
        may_repeat = job.check.kind != "steps" or job.check.idempotent or job.retry.non_idempotent
        if not renewal.is_changed or not may_repeat or self._time_left() < SHORTEST_ATTEMPT:
            return tried
        self._waits(tried, 0.0)
        return await self._try()

    async def _ask(self, call: AttemptContext, limit_s: float) -> tuple[Observation, tuple[Failure, ...]]:
        """Observe the target once and judge the answer."""
        job, stopwatch = self._job, call.clock

        def late() -> Observation:
            error, message = describe_deadline(stopwatch, job.check.endpoint, limit_s)
            told, facts = f"{stopwatch.step_prefix}{message}", stopwatch.facts()
            return Observation(stopwatch.stop(), error=error, message=told, facts=facts)

        seen: Observation | None = None
        try:
            check = self._around.checks[job.check.kind]
            seen = await run_with_deadline(check.observe(job.check, call), limit_s, late)
            if seen.error is not None and not is_expected_error(seen.error, job.expect):
                return seen, ()
            failures = (*seen.failures, *await self._judged(seen))
            return seen if seen.error is None else replace(seen, error=None, message=""), failures
        except JudgingUnavailable as error:
            phases = stopwatch.stop() if seen is None else seen.phases
            return Observation(phases, error=ErrorClass.INTERNAL_ERROR, message=str(error)), ()
        except Exception as error:
            return self._internal_error(error, stopwatch.stop()), ()

    async def _judged(self, seen: Observation) -> tuple[Failure, ...]:
        """Return the expectations that failed. Raises NotJudged."""
        job, redact = self._job, self._around.redactor.redact
        if not job.expect:
            return judge(seen, (), redact)
        # The target has had its time; judging must not exceed the run's time by much.
        patience = min(max(self._time_left(), _LEAST_PATIENCE), QUEUE_TIMEOUT_SECONDS)
        judged = await self._around.judges.perform(
            job.name, Judgement(seen, job.expect), redact, queue_timeout=patience
        )
        return judged.result

    def _internal_error(self, error: Exception, phases: Phases) -> Observation:
        """Turn an error of the program, or of a check's author, into an observation, so that the run is recorded."""
        # The traceback as redacted text: an exception of a library may quote a header.
        details = self._around.redactor.redact("".join(traceback.format_exception(error)))
        self.traceback = details
        _log.error("could not finish run %s: internal error; the run fails\n%s", self._ticket.id, details)
        name = type(error).__name__
        message = f"Internal error {name} while checking the target; the log contains the details."
        return Observation(phases, error=ErrorClass.INTERNAL_ERROR, message=message)

    def _time_left(self) -> float:
        return self._ends_at - self._around.clock.monotonic()

    def _waits(self, tried: AttemptResult, wait_s: float) -> None:
        attempt = replace(tried.attempt, wait_ms=round(wait_s * 1000, 3))
        self._attempts[-1] = attempt
        self._around.listener.attempt_retried(AttemptRetried(self._ticket, self._job.check.endpoint, attempt))

    def _gives_up(self, tried: AttemptResult, wait_s: float, left_s: float) -> None:
        self._note = describe_no_time_left(wait_s, tried.retry_after_s, left_s)

    def _affordable(self) -> bool:
        endpoint, budget = self._job.check.endpoint, self._around.budget
        if budget.acquire_retry(endpoint, self._job.name, self._around.clock.monotonic()):
            return True
        self._note = describe_exhausted_budget(endpoint, budget.per_minute)
        return False

    def _verdict(self, last: AttemptResult | None) -> Run:
        now = self._around.clock.now()
        if self._pending:
            reason = Reason(ReasonCode.PENDING, self._pending)
            return skipped_run(self._job, self._ticket, self._around.clock, reason)
        if last is None:
            return overdue_run(self._job, self._ticket, self._started_at, now, self._attempts)
        return finished_run(self._job, self._ticket, self._started_at, now, self._attempts, self._note)
