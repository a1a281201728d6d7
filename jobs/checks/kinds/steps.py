"""The check of several HTTP requests in sequence, over the check of one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from jobs.checks.dependencies import CheckDependencies
from jobs.checks.kinds.http import HttpCheck
from jobs.checks.kinds.step_sequence import CLEANUP_SECONDS, StepSequence
from jobs.checks.port import AttemptContext, Check
from jobs.errors import LeaseEnded
from jobs.judging import InlineJudge, Judge
from jobs.redaction import Redactor
from jobs.runs import Failure, Observation
from jobs.targets.steps import StepsTarget


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> StepsCheck:
    """Build the check. Called by jobs.checks."""
    http = checks["http"]
    assert isinstance(http, HttpCheck)
    return StepsCheck(http, dependencies.redactor, dependencies.judges)


class StepsCheck:
    """Observes sequences, for one event loop."""

    def __init__(self, http: HttpCheck, redactor: Redactor, judges: Judge | None = None) -> None:
        """`judges`: judge the responses; without them the event loop does."""
        self._http = http
        self._redactor = redactor
        self._hiding = asyncio.Lock()
        self._judges = judges or InlineJudge()
        self._cleanups: set[asyncio.Task[Failure | None]] = set()

    async def observe(self, target: StepsTarget, call: AttemptContext) -> Observation:
        """Send the requests in order, then clean up; report the first unexpected response."""
        sequence = StepSequence(self._http, self._redactor, self._judges, call, self._hiding)
        try:
            failure = await sequence.run_steps(target.steps)
        except LeaseEnded:
            if sequence.step_facts:  # otherwise there is nothing to clean up but what another process makes
                self._start_cleanup(sequence, target)
            raise
        except BaseException:
            self._start_cleanup(sequence, target)
            raise
        task = self._start_cleanup(sequence, target)
        cleanup_failure = await asyncio.shield(task) if task is not None else None
        phases, facts = sequence.phases(), {"steps": sequence.step_facts, **sequence.tls_facts}
        failures = (*sequence.degraded, *([cleanup_failure] if cleanup_failure is not None else []))
        if failure is None:
            return Observation(
                phases, facts=facts, failures=failures, certificates=sequence.certificates, health=sequence.health
            )
        return Observation(
            phases,
            failure.status,
            error=failure.error,
            message=failure.message,
            body=failure.body,
            body_truncated=failure.body_truncated,
            retry_after_s=failure.retry_after_s,
            facts=facts,
            certificates=sequence.certificates,
            health=sequence.health,
        )

    def prepare(self, target: StepsTarget) -> None:
        for step in (*target.steps, *target.cleanup):
            self._http.prepare(step)

    async def aclose(self) -> None:
        """Wait for running cleanups. The owner of the HTTP check closes it."""
        if self._cleanups:
            await asyncio.wait(self._cleanups, timeout=CLEANUP_SECONDS)

    def _start_cleanup(self, sequence: StepSequence, target: StepsTarget) -> asyncio.Task[Failure | None] | None:
        """Start a task that outlives an attempt that is cancelled."""
        if not target.cleanup:
            return None
        sequence.call.values.add_user()
        task = asyncio.create_task(sequence.clean_up(target.cleanup))
        self._cleanups.add(task)
        task.add_done_callback(lambda task: self._on_cleanup_done(task, sequence))
        return task

    def _on_cleanup_done(self, task: asyncio.Task[Failure | None], sequence: StepSequence) -> None:
        self._cleanups.discard(task)
        sequence.call.values.close()
