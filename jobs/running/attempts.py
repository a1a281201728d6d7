"""One attempt of a run, and its retries: observe the target once, judge the answer, refresh rejected credentials.

A secret may be rotated while runs use the cached value; the first rejection reveals it. The rules of retries are pure
functions: whether, after which wait, and how often. Tenacity runs the loop. Nothing is built before a first attempt has
failed.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import describe_deadline
from jobs.checks.port import AttemptContext, Check
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded
from jobs.expectations import is_expected_error, judge
from jobs.fast_frozen import fast_frozen
from jobs.formats import parse_duration
from jobs.judging import ExpectationVerdict, Judge, Judgement, JudgingUnavailable
from jobs.judging.port import QUEUE_TIMEOUT_SECONDS
from jobs.policies import RetryPolicy
from jobs.policies.execution import jitter_share
from jobs.ports import Clock, CredentialRefresh, SelfChecks
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import LostTime, run_with_deadline
from jobs.running.retry_budget import RetryBudget
from jobs.running.starvation import StarvationMeter
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
    lost_time: LostTime
    starvation: StarvationMeter


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
            lost_time = self._dependencies.lost_time.total
            work = check.observe(job.check, call)
            observation = await run_with_deadline(work, limit_s, on_timeout, lost_time=lost_time)
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


SHORTEST_ATTEMPT = 0.05
"""Seconds. A wait that leaves less of the run than this does not start: the next attempt could not succeed."""


@fast_frozen(frozen=True, slots=True)
class AttemptResult:
    """An attempt, and the wait that the target requested after it."""

    attempt: Attempt
    retry_after_s: float | None = None


def should_retry(policy: RetryPolicy, target_idempotent: bool, attempt: Attempt) -> bool:
    """Return whether the policy repeats this attempt, regardless of the number of attempts.

    An attempt that met its expectations succeeded, whatever its status. Errors that do not resolve within seconds (an
    invalid certificate, a missing secret, a redirect loop) match no condition, so they are never repeated.
    """
    if attempt.error is None or not (target_idempotent or policy.non_idempotent):
        return False
    return not _conditions(attempt.error, attempt.status).isdisjoint(policy.on)


def _conditions(error: ErrorClass, status: int | None) -> set[str]:
    """Return the conditions of `retry.on` that match such an attempt."""
    if error is ErrorClass.UNEXPECTED_STATUS:
        return {str(status), f"{(status or 0) // 100}xx"}
    if error in (ErrorClass.EXPECTATION_FAILED, ErrorClass.DNS_ANSWER):
        return {"expectation"}
    if error.is_timeout:
        return {"timeout"}
    return {"connection"} if error.is_connection else set()


def next_wait(
    policy: RetryPolicy, attempt_number: int, retry_after_s: float | None, random: Callable[[], float]
) -> float:
    """Return the seconds between attempt `attempt_number` (from 1) and the next one.

    `random` returns numbers in [0, 1), like `random.random`. A Retry-After extends the wait, also beyond `max`.
    """
    wait = _jittered(policy, _backoff(policy, max(attempt_number, 1)), random)
    return max(min(max(wait, policy.min), policy.max), retry_after_s or 0.0)


def _backoff(policy: RetryPolicy, attempt_number: int) -> float:
    """Return the wait without jitter."""
    if policy.delays is not None:
        wait = policy.delays[min(attempt_number, len(policy.delays)) - 1]
    elif policy.backoff == "linear":
        increment = policy.initial if policy.increment is None else policy.increment
        wait = policy.initial + increment * (attempt_number - 1)
    elif policy.backoff == "exponential":
        wait = policy.initial * _power(policy.multiplier, attempt_number - 1)
    else:
        wait = policy.initial
    return min(wait, policy.max)


def _power(base: float, exponent: int) -> float:
    try:
        return base**exponent
    except OverflowError:
        return sys.float_info.max


def _jittered(policy: RetryPolicy, wait: float, random: Callable[[], float]) -> float:
    if policy.jitter == "none":
        return wait
    if policy.jitter == "full":
        return wait * random()
    if policy.jitter == "equal":
        return wait * (1 + random()) / 2
    share = jitter_share(policy.jitter)
    return wait + parse_duration(policy.jitter) * random() if share is None else wait * (1 + share * (2 * random() - 1))


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Parameters of the retry loop."""

    policy: RetryPolicy
    target_idempotent: bool
    time_left: Callable[[], float]
    """Seconds left of the run."""
    random: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    on_retry: Callable[[AttemptResult, float], None]
    """Called before each wait, with the failed attempt and the seconds."""
    on_no_time_left: Callable[[AttemptResult, float, float], None]
    """Called when the wait (second) exceeds the seconds left (third): the run ends."""
    acquire_retry: Callable[[], bool]
    """Called last before each wait: whether the target's retry budget allows another attempt. If not, the run ends."""


async def retry_until_decided(
    first: AttemptResult, again: Callable[[], Awaitable[AttemptResult | None]], rules: RetryRules
) -> AttemptResult | None:
    """Repeat a failed first attempt as often as policy and time allow; return the last one.

    `again()` makes an attempt; None means that the run's time ended before the attempt could start.
    """
    # Tenacity makes each attempt itself: its first call returns the one that was made before.
    pending: AttemptResult | None = first

    async def attempt() -> AttemptResult | None:
        nonlocal pending
        if pending is None:
            return await again()
        tried, pending = pending, None
        return tried

    retrying = AsyncRetrying(
        retry=retry_if_result(lambda tried: tried is not None and _repeated(rules, tried)),
        wait=lambda state: _wait(rules, state),
        stop=lambda state: (
            state.attempt_number >= rules.policy.attempts or _does_not_fit(rules, state) or not rules.acquire_retry()
        ),
        before_sleep=lambda state: rules.on_retry(_tried(state), state.upcoming_sleep),
        sleep=rules.sleep,
        retry_error_callback=_tried,
    )
    return await retrying(attempt)


def _repeated(rules: RetryRules, tried: AttemptResult) -> bool:
    return should_retry(rules.policy, rules.target_idempotent, tried.attempt)


def _wait(rules: RetryRules, state: RetryCallState) -> float:
    return next_wait(rules.policy, state.attempt_number, _tried(state).retry_after_s, rules.random)


def _does_not_fit(rules: RetryRules, state: RetryCallState) -> bool:
    """Return whether the wait exceeds the time left. tenacity computes the wait before it calls this."""
    left = rules.time_left()
    if state.upcoming_sleep + SHORTEST_ATTEMPT < left:
        return False
    rules.on_no_time_left(_tried(state), state.upcoming_sleep, left)
    return True


def _tried(state: RetryCallState) -> AttemptResult:
    assert state.outcome is not None, "tenacity calls this after an attempt"
    result: AttemptResult = state.outcome.result()
    return result
