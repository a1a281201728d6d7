"""Observes a run's target once, judges the answer, and refreshes credentials that the target rejected.

A secret may be rotated while runs use the cached value; the first rejection reveals it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import describe_deadline
from jobs.checks.port import AttemptContext, Check
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded
from jobs.expectations import is_expected_error, judge
from jobs.judging import ExpectationVerdict, Judge, Judgement, JudgingUnavailable
from jobs.judging.port import QUEUE_TIMEOUT_SECONDS
from jobs.ports import Clock, CredentialRefresh, SelfChecks
from jobs.redaction import Redactor
from jobs.running.circuit_breaker.breakers import CircuitBreakers
from jobs.running.clocks import run_with_deadline
from jobs.running.retry_budget import RetryBudget
from jobs.runs import Attempt, ErrorClass, Failure, Observation, Phases
from jobs.runs.events import RunListener


@dataclass(frozen=True, slots=True)
class RunnerDependencies:
    """Shared by all runs of a process."""

    checks: Mapping[str, Check]
    circuits: CircuitBreakers
    listener: RunListener
    clock: Clock
    redactor: Redactor
    random: Callable[[], float]
    budget: RetryBudget
    bodies: BodyMemory
    judges: Judge
    self_checks: SelfChecks | None


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


_REFUSED = frozenset({401, 403})

MAX_CREDENTIAL_REFRESH = 5.0
"""Maximum seconds for a refresh."""


def has_rejected_credentials(attempt: Attempt) -> bool:
    """Whether the attempt failed with a status that rejects its credentials."""
    return attempt.error is not None and attempt.status in _REFUSED


async def refresh_credentials(
    used: Sequence[Callable[[], Awaitable[CredentialRefresh]]], status: int | None, left_s: float
) -> CredentialRefresh:
    """Refresh the credentials rejected with this status, within the seconds left of the run.

    The message starts with a capital letter and ends with a full stop.
    """
    limit_s = min(left_s, MAX_CREDENTIAL_REFRESH)
    renewals: list[CredentialRefresh] = []

    async def look() -> None:
        for renewed in used:
            renewals.append(await renewed())  # noqa: PERF401 - results before a slow one are used

    if limit_s > 0:
        await run_with_deadline(look(), limit_s, lambda: None)
    if len(renewals) < len(used):
        renewals.append(CredentialRefresh(is_changed=False, message="a refresh did not finish in time"))
    changed = [renewal for renewal in renewals if renewal.is_changed]
    messages = "; ".join(renewal.message for renewal in changed or renewals)
    return CredentialRefresh(
        is_changed=bool(changed), message=f"The target rejected the credentials ({status}); {messages}."
    )
