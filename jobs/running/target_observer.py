"""Observes a run's target once, and judges the answer. Called by jobs.running.execution for each attempt."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import replace

from jobs.checks.messages.timeouts import describe_deadline
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded
from jobs.expectations import is_expected_error, judge
from jobs.judging import ExpectationVerdict, Judgement, JudgingUnavailable
from jobs.judging.port import QUEUE_TIMEOUT_SECONDS
from jobs.running.deadlines import run_with_deadline
from jobs.running.dependencies import RunnerDependencies
from jobs.runs import ErrorClass, Failure, Observation, Phases

_log = logging.getLogger("jobs.running")

_SHORTEST_JUDGING_WAIT = 2.0
"""Minimum seconds that a judgement waits for those of other jobs, even if the run's time is over."""


class TargetObserver:
    """The observer of one run. `time_left` returns the seconds left of the run."""

    def __init__(
        self, dependencies: RunnerDependencies, job: JobDefinition, run_id: str, time_left: Callable[[], float]
    ) -> None:
        self._dependencies = dependencies
        self._job = job
        self._run_id = run_id
        self._time_left = time_left
        self.traceback = ""
        """Traceback of the last internal error, redacted."""

    async def observe(self, call: AttemptContext, limit_s: float) -> tuple[Observation, tuple[Failure, ...]]:
        """Observe the target once and judge the answer. Raises LeaseEnded."""
        job, stopwatch = self._job, call.clock

        def on_timeout() -> Observation:
            error, message = describe_deadline(stopwatch, job.check.endpoint, limit_s)
            text, facts = f"{stopwatch.step_prefix}{message}", stopwatch.facts()
            return Observation(stopwatch.stop(), error=error, message=text, facts=facts)

        observation: Observation | None = None
        try:
            check = self._dependencies.checks[job.check.kind]
            observation = await run_with_deadline(check.observe(job.check, call), limit_s, on_timeout)
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
        job, redact = self._job, self._dependencies.redactor.redact
        if not job.expect:
            return ExpectationVerdict(judge(observation, (), redact))
        # The target has had its time; judging must not exceed the run's time by much.
        queue_timeout = min(max(self._time_left(), _SHORTEST_JUDGING_WAIT), QUEUE_TIMEOUT_SECONDS)
        judged = await self._dependencies.judges.perform(
            job.name, Judgement(observation, job.expect), redact, queue_timeout=queue_timeout
        )
        return judged.result

    def _internal_error(self, error: Exception, phases: Phases) -> Observation:
        """Turn an error of the program, or of a check's author, into an observation, so that the run is recorded."""
        # The traceback as redacted text: an exception of a library may quote a header.
        details = self._dependencies.redactor.redact("".join(traceback.format_exception(error)))
        self.traceback = details
        _log.error("could not finish run %s: internal error; the run fails\n%s", self._run_id, details)
        name = type(error).__name__
        message = f"Internal error {name} while checking the target; the log contains the details."
        return Observation(phases, error=ErrorClass.INTERNAL_ERROR, message=message)
