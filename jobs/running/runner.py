"""Runs a job for a ticket: the entry point of this package. Called by the worker and the command line.

One run in progress, with its circuit, attempts and result, is a `RunExecution`, used once; the runner holds what all
runs share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import random as _random

from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import UNLIMITED, SendPermission
from jobs.checks.port import Check
from jobs.definition import JobDefinition
from jobs.errors import RunWithoutResult
from jobs.formats import describe_span
from jobs.judging import InlineJudge, Judge
from jobs.ports import Clock, SelfChecks
from jobs.redaction import Redactor
from jobs.running.attempt_series import (
    EXCUSING_SHARE,
    AttemptExecutor,
    ExecutorChoice,
    LocalAttempts,
    SeriesResult,
    lacked_much,
)
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.circuit_state import CircuitAdmission
from jobs.running.clocks import CANCEL_GRACE, LostTime
from jobs.running.retry_budget import RetryBudget, describe_exhausted_budget
from jobs.running.run_factories import (
    ERRORS_UNRELATED_TO_TARGET,
    blind_run,
    cancelled_run,
    finished_run,
    overdue_run,
    rejected_run,
    skipped_run,
    unknown_run,
)
from jobs.running.self_checks import LACKED_CPU
from jobs.running.starvation import CpuFiles, StarvationMeter, StarvationReading
from jobs.runs import Attempt, ErrorClass, Outcome, Run, Ticket
from jobs.runs.events import AttemptRetried, RunListener, RunStarted
from jobs.runs.outcomes import Reason, ReasonCode
from jobs.targets import Target

_LEASE_MARGIN = 10.0
"""Seconds in addition to a run's timeout after which a probe counts as lost: allows for a slow circuit store."""


@dataclass(frozen=True, slots=True)
class RunnerDependencies:
    """Shared by all runs of a process."""

    circuits: CircuitBreakers
    listener: RunListener
    clock: Clock
    budget: RetryBudget
    self_checks: SelfChecks | None
    executor: AttemptExecutor


class RunExecution:
    """Call `run_to_end()` once. After its cancellation `build_cancelled_run()` returns the run so far."""

    def __init__(
        self, dependencies: RunnerDependencies, job: JobDefinition, ticket: Ticket, permission: SendPermission
    ) -> None:
        self._dependencies = dependencies
        self._job = job
        self._ticket = ticket
        self._started_at = dependencies.clock.now()
        self._series = dependencies.executor.start(job, ticket.id, permission, self)
        self.traceback = ""
        """Traceback of the last internal error, redacted."""

    async def run_to_end(self) -> Run:
        """Run the job to its end. Any error is part of the run; a cancellation is raised.

        Raises:
            RunWithoutResult: nothing may be sent any more, or the process that made the attempts has ended.
        """
        job, dependencies = self._job, self._dependencies
        admission = await self._admit()
        if admission is not None and not admission.is_allowed:
            return rejected_run(job, self._ticket, self._started_at, dependencies.clock.now(), admission.reason)
        endpoint = job.check.endpoint
        dependencies.budget.record_first_attempt(endpoint, job.name, dependencies.clock.monotonic())
        dependencies.listener.run_started(RunStarted(self._ticket, endpoint, self._started_at))
        try:
            result = await self._series.run()
        except RunWithoutResult:
            if admission is not None:
                await self._record_in_circuit(admission, None)
            raise
        self.traceback = result.traceback
        run = self._build_run(result)
        run = await self._skip_if_blind(run, result)
        if admission is not None:
            await self._record_in_circuit(admission, run)
        return run

    def build_cancelled_run(self, cancelled_by: str = "") -> Run:
        """Return the run so far: cancelled by a user (`cancelled_by`: how), or interrupted by the stop."""
        now, attempts = self._dependencies.clock.now(), self._series.attempts
        return cancelled_run(self._job, self._ticket, self._started_at, now, attempts, cancelled_by=cancelled_by)

    async def _skip_if_blind(self, run: Run, result: SeriesResult) -> Run:
        """Return the run, skipped if the scheduler itself causes its failure. With `effect: once` it has failed."""
        if result.is_unknown:
            return run  # another service than the target has answered, which proves nothing about the network
        if self._is_excused(run, result):
            lost = describe_span(result.lost_s or result.lack_s)
            what = "the scheduler itself did not run" if result.lost_s else LACKED_CPU
            return blind_run(run, f"{what} for {lost} meanwhile")
        checks, endpoint = self._dependencies.self_checks, self._job.check.endpoint
        if checks is not None and self._job.check.kind != "steps":  # whose error may be about another host
            checks.record(endpoint, run.error)
        if checks is None or run.error is None or not run.outcome.down or self._job.effect == "once":
            return run
        cause = await checks.explain(run.error, run.started_at, endpoint)
        return run if cause is None else blind_run(run, cause)

    def _is_excused(self, run: Run, result: SeriesResult) -> bool:
        """Return whether the process stood still for so long that a timeout or a lost connection may be its own."""
        if run.error is None or not run.outcome.down or self._job.effect == "once":
            return False
        if run.error.is_timeout:
            return lacked_much(result.lost_s, result.lack_s, self._job.timeout.attempt)
        is_own = run.error.is_connection or run.error is ErrorClass.PROTOCOL_ERROR
        return is_own and result.lost_s >= EXCUSING_SHARE * self._job.timeout.attempt

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

    # --- the run ---

    async def request_retry(self) -> str:
        """Return why the target's retry budget allows no further attempt; "" if it allows one."""
        endpoint, budget = self._job.check.endpoint, self._dependencies.budget
        if budget.acquire_retry(endpoint, self._job.name, self._dependencies.clock.monotonic()):
            return ""
        return describe_exhausted_budget(endpoint, budget.per_minute)

    def publish_retry(self, attempt: Attempt) -> None:
        """Publish a failed attempt that is repeated."""
        self._dependencies.listener.attempt_retried(AttemptRetried(self._ticket, self._job.check.endpoint, attempt))

    def _build_run(self, result: SeriesResult) -> Run:
        if result.pending:
            reason = Reason(ReasonCode.PENDING, result.pending)
            return skipped_run(self._job, self._ticket, self._dependencies.clock, reason)
        build = (self._job, self._ticket, self._started_at, result.finished_at, result.attempts)
        if result.is_unknown:
            return unknown_run(*build)
        return overdue_run(*build) if result.is_overdue else finished_run(*build, result.note)


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
        executor: ExecutorChoice | None = None,
        cpu_files: CpuFiles | None = None,
    ) -> None:
        """`checks` by kind. `random` returns numbers in [0, 1), for jitter. `prepare` loads the dependencies of a
        target's check before its run, for a process that has not loaded them for all jobs. `judges` judge the
        answers; the default judges inline. `self_checks` find the failures that the scheduler itself causes.
        `executor` makes attempts elsewhere; the default makes them in this process. `cpu_files` show the lack of CPU;
        None: only the delay of the event loop does."""
        self._prepare = prepare
        lost_time = LostTime(clock.monotonic)
        self._starvation = StarvationMeter(lost_time, clock.monotonic, cpu_files)
        local = LocalAttempts(
            checks,
            clock,
            redactor,
            random,
            bodies or BodyMemory(),
            judges or InlineJudge(),
            lost_time,
            self._starvation,
        )
        attempts = local if executor is None else executor.use_local(local)
        self._dependencies = RunnerDependencies(
            circuits, listener, clock, budget or RetryBudget(), self_checks, attempts
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
        return RunExecution(self._dependencies, job, ticket, permission)

    def read_load(self) -> RunnerLoad:
        """Return how far circuits and retries are limited now."""
        dependencies = self._dependencies
        return RunnerLoad(
            dependencies.circuits.open_count, dependencies.budget.find_use(dependencies.clock.monotonic())
        )

    def read_starvation(self) -> StarvationReading:
        """Return how much CPU the process lacked so far."""
        return self._starvation.reading()

    async def run(self, job: JobDefinition, ticket: Ticket) -> Run:
        """Run the job to its end. Takes at most `timeout.run`, plus a few seconds if something hangs.

        Any error is part of the run. Raises only asyncio.CancelledError, when the caller is cancelled.
        """
        return await self.start(job, ticket).run_to_end()
