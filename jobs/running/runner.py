"""Runs a job for a ticket: the entry point of this package. Called by the worker and the command line.

One run is a `RunExecution`; this module holds what all runs share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import random as _random

from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import UNLIMITED, SendPermission
from jobs.checks.port import Check
from jobs.definition import JobDefinition
from jobs.judging import InlineJudge, Judge
from jobs.ports import Clock, SelfChecks
from jobs.redaction import Redactor
from jobs.running.circuit_breaker.breakers import CircuitBreakers
from jobs.running.execution import RunExecution
from jobs.running.observing import RunnerDependencies
from jobs.running.retry_budget import RetryBudget
from jobs.runs import Run, Ticket
from jobs.runs.events import RunListener
from jobs.targets import Target


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
    ) -> None:
        """`checks` by kind. `random` returns numbers in [0, 1), for jitter. `prepare` loads the dependencies of a
        target's check before its run, for a process that has not loaded them for all jobs. `judges` judge the
        answers; the default judges inline. `self_checks` find the failures that the scheduler itself causes."""
        self._prepare = prepare
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

    async def run(self, job: JobDefinition, ticket: Ticket) -> Run:
        """Run the job to its end. Takes at most `timeout.run`, plus a few seconds if something hangs.

        Any error is part of the run. Raises only asyncio.CancelledError, when the caller is cancelled.
        """
        return await self.start(job, ticket).run_to_end()
