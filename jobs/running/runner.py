"""Runs a job for a ticket: the front door of this package. Called by the worker and the command line.

One run is an `RunExecution` (execution.py); here is what all of them share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import random as _random

from jobs.checks.body_memory import BodyMemory
from jobs.checks.port import Check
from jobs.definition import JobDefinition
from jobs.events import RunListener
from jobs.judging import InlineJudge, Judge
from jobs.ports import Clock
from jobs.redaction import Redactor
from jobs.running.circuit_breaker.breakers import CircuitBreakers
from jobs.running.execution import RunExecution, RunnerDependencies
from jobs.running.retries.retry_budget import RetryBudget
from jobs.runs import Run, Ticket
from jobs.targets import Target


class Runner:
    """Tells the listener `run_started` and `attempt_retried`; `run_finished` is told by who records the run."""

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
    ) -> None:
        """`checks` by kind. `random` gives numbers from 0 to below 1, for the jitter of waits. `prepare`: loads what
        the check of a target needs, before its run begins; for a process that has not done so for all jobs. `judges`:
        who judges the answers; without them it is done inline."""
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
        )

    def start(self, job: JobDefinition, ticket: Ticket) -> RunExecution:
        """A run from now on. For callers that record it even when they are cancelled:

        execution = runner.start(job, ticket)
        try:
            run = await execution.finish()
        except asyncio.CancelledError:
            await record(execution.cancelled())
            raise
        """
        self._prepare(job.check)
        return RunExecution(self._around, job, ticket)

    async def run(self, job: JobDefinition, ticket: Ticket) -> Run:
        """Run the job to its end; takes `timeout.run` at the most, and a few seconds when something is stuck.

        Whatever goes wrong is in the run. Raises only asyncio.CancelledError, when the caller is cancelled.
        """
        return await self.start(job, ticket).run_to_end()
