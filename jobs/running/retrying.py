"""Repeating a failed attempt: whether, after which wait, and how often. Called by execution.py.

The rules are pure functions; tenacity runs them. Nothing of it is built before a first attempt has failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from jobs.policies import RetryPolicy
from jobs.runs import Attempt, ErrorClass

LEAST_ATTEMPT = 0.05
"""Seconds. A wait that leaves less of the run than this is not begun: the attempt after it could not succeed."""


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt, and how long the target asked to be left alone after it."""

    attempt: Attempt
    retry_after_s: float | None = None


def should_retry(policy: RetryPolicy, target_idempotent: bool, attempt: Attempt) -> bool:
    """Whether this attempt is one that the policy repeats, however many there were before.

    An attempt that met its expectations succeeded, whatever its status. What does not mend itself within seconds (a
    wrong certificate, a missing secret, endless redirects) is in no condition, so it is never repeated.
    """
    if attempt.error is None or not (target_idempotent or policy.non_idempotent):
        return False
    return not _conditions(attempt.error, attempt.status).isdisjoint(policy.on)


def _conditions(error: ErrorClass, status: int | None) -> set[str]:
    """The words of `retry.on` that speak of such an attempt."""
    if error is ErrorClass.UNEXPECTED_STATUS:
        return {str(status), f"{(status or 0) // 100}xx"}
    if error is ErrorClass.EXPECTATION_FAILED:
        return {"expectation"}
    if error.is_timeout:
        return {"timeout"}
    return {"connection"} if error.is_connection else set()


def next_wait(
    policy: RetryPolicy, attempt_number: int, retry_after_s: float | None, random: Callable[[], float]
) -> float:
    """Seconds between attempt `attempt_number` (from 1) and the next one.

    `random` gives numbers from 0 to below 1, as `random.random`. A Retry-After lengthens the wait, beyond `max` too.
    """
    backoff = _backoff(policy, attempt_number)
    if policy.jitter == "full":
        backoff *= random()
    return max(backoff, retry_after_s or 0.0)


def _backoff(policy: RetryPolicy, attempt_number: int) -> float:
    """The wait before jitter."""
    if policy.backoff == "linear":
        return min(policy.initial * attempt_number, policy.max)
    if policy.backoff == "exponential":
        return min(policy.initial * policy.multiplier ** (attempt_number - 1), policy.max)
    return min(policy.initial, policy.max)


@dataclass(frozen=True, slots=True)
class Repeating:
    """What `repeat` needs to know besides the attempts."""

    policy: RetryPolicy
    target_idempotent: bool
    time_left: Callable[[], float]
    """Seconds that are left of the run."""
    random: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    waiting: Callable[[Tried, float], None]
    """Called before each wait, with the attempt that failed and the seconds."""
    no_time: Callable[[Tried, float, float], None]
    """Called when the wait (second) does not fit into the seconds that are left (third): the run ends."""


async def repeat(first: Tried, again: Callable[[], Awaitable[Tried | None]], rules: Repeating) -> Tried | None:
    """Follow a first attempt that `should_retry` with as many as the policy and the time allow; gives the last one.

    `again()` makes an attempt; None from it ends the run: its time was over before the attempt could begin.
    """
    made: Tried | None = first

    async def attempt() -> Tried | None:
        nonlocal made
        if made is None:
            return await again()
        tried, made = made, None
        return tried

    retrying = AsyncRetrying(
        retry=retry_if_result(lambda tried: tried is not None and _repeated(rules, tried)),
        wait=lambda state: _wait(rules, state),
        stop=lambda state: state.attempt_number >= rules.policy.attempts or _does_not_fit(rules, state),
        before_sleep=lambda state: rules.waiting(_tried(state), state.upcoming_sleep),
        sleep=rules.sleep,
        retry_error_callback=_tried,
    )
    return await retrying(attempt)


def _repeated(rules: Repeating, tried: Tried) -> bool:
    return should_retry(rules.policy, rules.target_idempotent, tried.attempt)


def _wait(rules: Repeating, state: RetryCallState) -> float:
    return next_wait(rules.policy, state.attempt_number, _tried(state).retry_after_s, rules.random)


def _does_not_fit(rules: Repeating, state: RetryCallState) -> bool:
    """tenacity asks for the wait first, then whether to stop."""
    left = rules.time_left()
    if state.upcoming_sleep + LEAST_ATTEMPT < left:
        return False
    rules.no_time(_tried(state), state.upcoming_sleep, left)
    return True


def _tried(state: RetryCallState) -> Tried:
    assert state.outcome is not None, "asked before an attempt was made"
    result: Tried = state.outcome.result()
    return result
