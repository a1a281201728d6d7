"""The retries of a run, and the refresh of rejected credentials. Called by jobs.running.attempt_series.

A secret may be rotated while runs use the cached value; the first rejection reveals it. The rules of retries are pure
functions: whether, after which wait, and how often. Tenacity runs the loop. Nothing is built before a first attempt has
failed.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from jobs.fast_frozen import fast_frozen
from jobs.formats import parse_duration
from jobs.policies import RetryPolicy
from jobs.policies.execution import jitter_share
from jobs.ports import CredentialRefresh
from jobs.running.clocks import run_with_deadline
from jobs.runs import Attempt, ErrorClass

_REFUSED = frozenset({401, 403})

MAX_CREDENTIAL_REFRESH = 5.0
"""Maximum seconds for a refresh."""


def has_rejected_credentials(attempt: Attempt) -> bool:
    """Whether the attempt failed with a status, or a sign-in, that rejects its credentials."""
    return attempt.error is ErrorClass.AUTH_FAILED or (attempt.error is not None and attempt.status in _REFUSED)


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
    return {"connection"} if error.is_connection or error is ErrorClass.TOO_MANY_CONNECTIONS else set()


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
    acquire_retry: Callable[[], Awaitable[bool]]
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

    async def ends(state: RetryCallState) -> bool:
        is_last = state.attempt_number >= rules.policy.attempts
        return is_last or _does_not_fit(rules, state) or not await rules.acquire_retry()

    retrying = AsyncRetrying(
        retry=retry_if_result(lambda tried: tried is not None and _repeated(rules, tried)),
        wait=lambda state: _wait(rules, state),
        stop=ends,  # type: ignore[arg-type]  # awaited, as the documentation says
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
