"""The check of several HTTP requests one after the other, over the check of one. Made by jobs.checks."""

from __future__ import annotations

import asyncio

from jobs.checks.kinds.http import HttpCheck
from jobs.checks.kinds.step_sequence import CLEANUP_SECONDS, StepSequence
from jobs.checks.port import AttemptContext
from jobs.judging import InlineJudge, Judge
from jobs.redaction import Redactor
from jobs.runs import Failure, Observation
from jobs.targets.steps import StepsTarget


class StepsCheck:
    """Observes sequences, for one event loop."""

    def __init__(self, http: HttpCheck, redactor: Redactor, judges: Judge | None = None) -> None:
        """`judges`: who judges the answers; without them it is done inline."""
        self._http = http
        self._redactor = redactor
        self._hiding = asyncio.Lock()
        self._judges = judges or InlineJudge()
        self._cleanups: set[asyncio.Task[Failure | None]] = set()

    async def observe(self, target: StepsTarget, call: AttemptContext) -> Observation:
        """Make the requests in order, then clean up; says which of them was not as expected."""
        way = StepSequence(self._http, self._redactor, self._judges, call, self._hiding)
        try:
            failed = await way.run_steps(target.steps)
        except BaseException:
            self._start_cleanup(way, target)
            raise
        task = self._start_cleanup(way, target)
        left = await asyncio.shield(task) if task is not None else None
        phases, facts = way.phases(), {"steps": way.step_facts, **way.tls_facts}
        failures = (*way.degraded, *([left] if left is not None else []))
        if failed is None:
            return Observation(phases, facts=facts, failures=failures, certificates=way.certificates)
        return Observation(
            phases,
            failed.status,
            error=failed.error,
            message=failed.message,
            body=failed.body,
            body_truncated=failed.body_truncated,
            retry_after_s=failed.retry_after_s,
            facts=facts,
            certificates=way.certificates,
        )

    def prepare(self, target: StepsTarget) -> None:
        """See Check.prepare."""
        for step in (*target.steps, *target.cleanup):
            self._http.prepare(step)

    async def aclose(self) -> None:
        """Let those that clean up end. The check of one request is closed by its owner."""
        if self._cleanups:
            await asyncio.wait(self._cleanups, timeout=CLEANUP_SECONDS)

    def _start_cleanup(self, way: StepSequence, target: StepsTarget) -> asyncio.Task[Failure | None] | None:
        """In a task of its own, which outlives an attempt that is given up."""
        if not target.cleanup:
            return None
        way.call.values.add_user()
        task = asyncio.create_task(way.clean_up(target.cleanup))
        self._cleanups.add(task)
        task.add_done_callback(lambda task: self._on_cleanup_done(task, way))
        return task

    def _on_cleanup_done(self, task: asyncio.Task[Failure | None], way: StepSequence) -> None:
        self._cleanups.discard(task)
        way.call.values.close()
