"""Runs a job for a ticket: the entry point of this package. Called by the worker and the command line.

One run in progress, with its circuit, attempts and result, is a `RunExecution`, used once; the runner holds what all
runs share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from random import random as _random

from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import UNLIMITED, PhaseClock, SendPermission
from jobs.checks.port import AttemptContext, Check
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded
from jobs.formats import format_duration
from jobs.judging import InlineJudge, Judge
from jobs.ports import Clock, SelfChecks
from jobs.redaction import Redactor
from jobs.redaction.value_holders import RunSecrets
from jobs.running.attempts import (
    SHORTEST_ATTEMPT,
    AttemptResult,
    RetryRules,
    RunnerDependencies,
    TargetObserver,
    has_rejected_credentials,
    refresh_credentials,
    retry_until_decided,
    should_retry,
)
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.circuit_state import CircuitAdmission
from jobs.running.clocks import CANCEL_GRACE, LostTime
from jobs.running.retry_budget import RetryBudget, describe_exhausted_budget, describe_no_time_left, host_with_port
from jobs.running.run_factories import (
    DEFAULT_EXCERPT_BYTES,
    ERRORS_UNRELATED_TO_TARGET,
    blind_run,
    build_attempt,
    cancelled_run,
    finished_run,
    is_about_time,
    mark_starved,
    overdue_run,
    rejected_run,
    skipped_run,
)
from jobs.running.self_checks import LACKED_CPU
from jobs.running.starvation import CpuFiles, StarvationMeter, StarvationReading
from jobs.runs import Attempt, ErrorClass, Outcome, Run, Ticket
from jobs.runs.events import AttemptRetried, RunListener, RunStarted
from jobs.runs.outcomes import Reason, ReasonCode
from jobs.targets import Target

EXCUSING_SHARE = 0.1
"""Of the time limit of an attempt: lost time of so much makes a run unable to judge its target."""
EXCUSING_LACK = 0.25
"""The same of lack of CPU, in which the process runs between its waits."""
_LEASE_MARGIN = 10.0
"""Seconds in addition to a run's timeout after which a probe counts as lost: allows for a slow circuit store."""


class RunExecution:
    """Call `run_to_end()` once. After its cancellation `build_cancelled_run()` returns the run so far."""

    def __init__(
        self, dependencies: RunnerDependencies, job: JobDefinition, ticket: Ticket, permission: SendPermission
    ) -> None:
        self._dependencies = dependencies
        self._permission = permission
        self._job = job
        self._ticket = ticket
        self._started_at = dependencies.clock.now()
        self._ends_at = 0.0
        self._lost_before = 0.0
        self._lost_s = 0.0
        """Seconds of the last attempt for which the process did not run."""
        self._lack_s = 0.0
        """Seconds of the last attempt for which the process lacked CPU."""
        self._has_second_look = False
        self._attempts: list[Attempt] = []
        self._note = ""
        self._pending = ""
        """Why the last attempt, which did not fail, cannot judge the target yet."""
        self._credentials_refreshed = False
        self._values = RunSecrets()
        self._observer = TargetObserver(dependencies, job, ticket.id, self._time_left)

    @property
    def traceback(self) -> str:
        """Traceback of the last internal error, redacted."""
        return self._observer.traceback

    async def run_to_end(self) -> Run:
        """Run the job to its end. Any error is part of the run; a cancellation is raised.

        Raises:
            LeaseEnded: nothing may be sent any more; the run has no result.
        """
        try:
            with self._dependencies.lost_time.watch():
                return await self._run()
        finally:
            self._values.close()  # everything that leaves this run is redacted by now

    async def _run(self) -> Run:
        admission = await self._admit()
        if admission is not None and not admission.is_allowed:
            return rejected_run(
                self._job, self._ticket, self._started_at, self._dependencies.clock.now(), admission.reason
            )
        dependencies = self._dependencies
        dependencies.budget.record_first_attempt(
            self._job.check.endpoint, self._job.name, dependencies.clock.monotonic()
        )
        dependencies.listener.run_started(RunStarted(self._ticket, self._job.check.endpoint, self._started_at))
        self._ends_at = dependencies.clock.monotonic() + self._job.timeout.run
        self._lost_before = dependencies.lost_time.total()
        try:
            last = await self._run_attempts()
        except LeaseEnded:
            if admission is not None:
                await self._record_in_circuit(admission, None)
            raise
        run = await self._skip_if_blind(self._build_run(last))
        if admission is not None:
            await self._record_in_circuit(admission, run)
        return run

    def build_cancelled_run(self, cancelled_by: str = "") -> Run:
        """Return the run so far: cancelled by a user (`cancelled_by`: how), or interrupted by the stop."""
        now = self._dependencies.clock.now()
        return cancelled_run(self._job, self._ticket, self._started_at, now, self._attempts, cancelled_by=cancelled_by)

    async def _skip_if_blind(self, run: Run) -> Run:
        """Return the run, skipped if the scheduler itself causes its failure. With `effect: once` it has failed."""
        if self._is_excused_by_lost_time(run):
            lost = format_duration(round(self._lost_s or self._lack_s, 1))
            what = "the scheduler itself did not run" if self._lost_s else LACKED_CPU
            return blind_run(run, f"{what} for {lost} meanwhile")
        checks, endpoint = self._dependencies.self_checks, self._job.check.endpoint
        if checks is not None and self._job.check.kind != "steps":  # whose error may be about another host
            checks.record(endpoint, run.error)
        if checks is None or run.error is None or not run.outcome.down or self._job.effect == "once":
            return run
        cause = await checks.explain(run.error, run.started_at, endpoint)
        return run if cause is None else blind_run(run, cause)

    def _is_excused_by_lost_time(self, run: Run) -> bool:
        """Return whether the process stood still for so long that a timeout or a lost connection may be its own."""
        if run.error is None or not run.outcome.down or self._job.effect == "once":
            return False
        if run.error.is_timeout:
            return self._lacked_much()
        is_own = run.error.is_connection or run.error is ErrorClass.PROTOCOL_ERROR
        return is_own and self._lost_s >= EXCUSING_SHARE * self._job.timeout.attempt

    def _lacked_much(self) -> bool:
        """Return whether the process did not run, or lacked CPU, for so long that a timeout may be its own."""
        limit_s = self._job.timeout.attempt
        return self._lost_s >= EXCUSING_SHARE * limit_s or self._lack_s >= EXCUSING_LACK * limit_s

    # --- circuit ---

    async def _admit(self) -> CircuitAdmission | None:
        """Ask the circuit for admission. None: the job has no circuit."""
        policy, key = self._job.circuit, self._job.circuit_key
        if policy is None or key is None:
            return None
        lease_s = self._job.timeout.run + CANCEL_GRACE + _LEASE_MARGIN
        return await self._dependencies.circuits.admit(key, policy, self._started_at, lease_s)

    async def _record_in_circuit(self, admission: CircuitAdmission, run: Run | None) -> None:
        """Record the result. `run` None: without a result. If this run is a probe, another one may be the next then."""
        policy, key = self._job.circuit, self._job.circuit_key
        if policy is None or key is None:
            return
        now, failed, slow = self._dependencies.clock.now() if run is None else run.finished_at, None, False
        if run is not None:
            is_unrelated = run.error in ERRORS_UNRELATED_TO_TARGET or run.outcome is Outcome.SKIPPED
            failed = None if is_unrelated else run.outcome.down
            slow = policy.slow_call is not None and (run.reliable_response_ms or 0.0) > policy.slow_call * 1000
        await self._dependencies.circuits.record(key, policy, now, admission, failed, slow)

    # --- attempts ---

    async def _run_attempts(self) -> AttemptResult | None:
        """Return the last attempt; None if the run's time ended before the next one could start."""
        policy, idempotent = self._job.retry, self._job.check.idempotent
        first = await self._make_attempt()
        # The fast path: an immediate success never builds the retry machinery below.
        if first is None or policy.attempts == 1 or not should_retry(policy, idempotent, first.attempt):
            return first
        dependencies = self._dependencies
        rules = RetryRules(
            policy,
            idempotent,
            self._time_left,
            dependencies.random,
            dependencies.clock.sleep,
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
        started_at = self._dependencies.clock.now()
        room = self._dependencies.bodies.open_reservation(self._job.name, host_with_port(self._job.check.endpoint))
        job, number = self._job, len(self._attempts) + 1
        call = AttemptContext(
            self._ticket.id,
            number,
            PhaseClock(self._dependencies.lost_time.running_time, permission=self._permission),
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
        starvation, lost_before = self._dependencies.starvation, self._dependencies.lost_time.total()
        lack_before = starvation.total()
        observation, failures = await self._observer.observe(call, min(self._job.timeout.attempt, time_left))
        is_starved = starvation.is_starved(lack_before, observation.phases.total_ms)
        self._lost_s = self._dependencies.lost_time.total() - lost_before
        self._lack_s = starvation.total() - lack_before if is_starved else 0.0
        unjudged = tuple(filter(is_about_time, failures)) if is_starved else ()
        failures = tuple(each for each in failures if each not in unjudged) if unjudged else failures
        excerpt_bytes = getattr(self._job.check, "keep_body", DEFAULT_EXCERPT_BYTES)
        attempt = build_attempt(
            call.attempt, started_at, observation, failures, self._dependencies.redactor, excerpt_bytes
        )
        if is_starved:
            attempt = mark_starved(attempt, unjudged)
        self._pending = (
            self._dependencies.redactor.redact(observation.pending) if observation.pending and attempt.succeeded else ""
        )
        self._attempts.append(attempt)
        return AttemptResult(attempt, observation.retry_after_s)

    def _needs_second_look(self, attempt: Attempt) -> bool:
        """Return whether to repeat a timeout of a process without CPU, once a run, regardless of the retry policy."""
        if self._has_second_look or attempt.error is None or not attempt.error.is_timeout or not self._lacked_much():
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
        message = f"{result.attempt.message} {self._dependencies.redactor.redact(refresh.message)}"
        result = replace(result, attempt=replace(result.attempt, message=message))
        self._attempts[-1] = result.attempt
        job = self._job
        may_repeat = job.check.kind != "steps" or job.check.idempotent or job.retry.non_idempotent
        if not refresh.is_changed or not may_repeat or self._time_left() < SHORTEST_ATTEMPT:
            return result
        self._publish_retry(result, 0.0)
        return await self._make_attempt()

    def _time_left(self) -> float:
        """Return the seconds left of the run; time in which the process did not run does not count."""
        lost = self._dependencies.lost_time.total() - self._lost_before
        return self._ends_at + lost - self._dependencies.clock.monotonic()

    def _publish_retry(self, result: AttemptResult, wait_s: float) -> None:
        attempt = replace(result.attempt, wait_ms=round(wait_s * 1000, 3))
        self._attempts[-1] = attempt
        self._dependencies.listener.attempt_retried(AttemptRetried(self._ticket, self._job.check.endpoint, attempt))

    def _note_no_time_left(self, result: AttemptResult, wait_s: float, left_s: float) -> None:
        self._note = describe_no_time_left(wait_s, result.retry_after_s, left_s)

    def _acquire_retry(self) -> bool:
        endpoint, budget = self._job.check.endpoint, self._dependencies.budget
        if budget.acquire_retry(endpoint, self._job.name, self._dependencies.clock.monotonic()):
            return True
        self._note = describe_exhausted_budget(endpoint, budget.per_minute)
        return False

    def _build_run(self, last: AttemptResult | None) -> Run:
        now = self._dependencies.clock.now()
        if self._pending:
            reason = Reason(ReasonCode.PENDING, self._pending)
            return skipped_run(self._job, self._ticket, self._dependencies.clock, reason)
        if last is None:
            return overdue_run(self._job, self._ticket, self._started_at, now, self._attempts)
        return finished_run(self._job, self._ticket, self._started_at, now, self._attempts, self._note)


@dataclass(frozen=True, slots=True)
class RunnerLoad:
    """`open_circuits`: as this process knows them. `retry_budget_use`: from 0 to 1, of the host with the least left."""

    open_circuits: int
    retry_budget_use: float


class Runner:
    """Publishes `run_started` and `attempt_retried`; the caller that records the run publishes its end."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        circuits: CircuitBreakers,
        listener: RunListener,
        clock: Clock,
        redactor: Redactor,
        random: Callable[[], float] = _random,
        budget: RetryBudget | None = None,
        bodies: BodyMemory | None = None,
        prepare: Callable[[Target], None] = lambda target: None,
        judges: Judge | None = None,
        self_checks: SelfChecks | None = None,
        cpu_files: CpuFiles | None = None,
    ) -> None:
        """`checks` by kind. `random` returns numbers in [0, 1), for jitter. `prepare` loads the dependencies of a
        target's check before its run, for a process that has not loaded them for all jobs. `judges` judge the
        answers; the default judges inline. `self_checks` find the failures that the scheduler itself causes.
        `cpu_files` show the lack of CPU; None: only the delay of the event loop does."""
        self._prepare = prepare
        lost_time = LostTime(clock.monotonic)
        self._around = RunnerDependencies(
            checks,
            circuits,
            listener,
            clock,
            redactor,
            random,
            budget or RetryBudget(),
            bodies or BodyMemory(),
            judges or InlineJudge(),
            self_checks,
            lost_time,
            StarvationMeter(lost_time, clock.monotonic, cpu_files),
        )

    def prepare(self, jobs: Iterable[JobDefinition]) -> None:
        """Load what the checks of these jobs need, before the first of several runs: it blocks the event loop, which
        would count as response time of runs in-flight."""
        for job in jobs:
            self._prepare(job.check)

    def start(self, job: JobDefinition, ticket: Ticket, permission: SendPermission = UNLIMITED) -> RunExecution:
        """Start a run. `permission`: of a run that another process executes after its lease.

        For callers that record it even when they are cancelled:

        execution = runner.start(job, ticket)
        try:
            run = await execution.run_to_end()
        except asyncio.CancelledError:
            await record(execution.build_cancelled_run())
            raise
        """
        self._prepare(job.check)
        return RunExecution(self._around, job, ticket, permission)

    def read_load(self) -> RunnerLoad:
        """Return how far circuits and retries are limited now."""
        around = self._around
        return RunnerLoad(around.circuits.open_count, around.budget.find_use(around.clock.monotonic()))

    def read_starvation(self) -> StarvationReading:
        """Return how much CPU the process lacked so far."""
        return self._around.starvation.reading()

    async def run(self, job: JobDefinition, ticket: Ticket) -> Run:
        """Run the job to its end. Takes at most `timeout.run`, plus a few seconds if something hangs.

        Any error is part of the run. Raises only asyncio.CancelledError, when the caller is cancelled.
        """
        return await self.start(job, ticket).run_to_end()
