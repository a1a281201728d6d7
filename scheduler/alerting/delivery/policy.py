"""When a failed message is sent again, when the fallback channel is used, when a message is given up. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from jobs.fast_frozen import fast_frozen
from jobs.notifications.outbox import ChannelState, OutboxRow
from jobs.notifications.port import SendFailed

BACKOFF_S = (1.0, 5.0, 30.0, 120.0, 300.0)
"""Seconds before the second, third, ... attempt. The last one repeats."""
JITTER_SHARE = 0.2
"""A wait is longer by at most this share, so that messages that failed together are not sent together."""
MAX_RETRY_AFTER_S = 3600.0
"""Longest wait that a service can request."""


@fast_frozen(frozen=True, slots=True)
class DeliveryPolicy:
    """`send_timeout`: of one message, for a sender that exceeds the timeout of its channel. `lease`: longer than a
    message takes, else two processes send it.

    `fallback_after`, `max_attempts`: a message that failed for so long, or so often, goes to the fallback channel.
    `give_up_after`: one without a fallback channel becomes a dead letter.
    """

    send_timeout: timedelta = timedelta(seconds=60)
    lease: timedelta = timedelta(seconds=90)
    fallback_after: timedelta = timedelta(minutes=3)
    max_attempts: int = 10
    give_up_after: timedelta = timedelta(hours=24)
    rows_per_pass: int = 1000


class FailureVerdict(StrEnum):
    RETRY = "retry"
    FALL_BACK = "fall_back"
    GIVE_UP = "give_up"


def compute_backoff(failures: int, jitter: float, retry_after: float | None = None) -> timedelta:
    """Return the wait after so many failures, at least `retry_after`. `jitter`: 0 to 1."""
    wait = BACKOFF_S[min(max(failures, 1), len(BACKOFF_S)) - 1] * (1 + JITTER_SHARE * jitter)
    return timedelta(seconds=max(wait, min(retry_after or 0.0, MAX_RETRY_AFTER_S)))


def judge_failure(
    policy: DeliveryPolicy, row: OutboxRow, failure: SendFailed, now: datetime, *, has_fallback: bool
) -> FailureVerdict:
    """Decide what happens with a row whose attempt failed. `row` includes this attempt."""
    if failure.is_permanent:
        return FailureVerdict.FALL_BACK if has_fallback else FailureVerdict.GIVE_UP
    age = now - (row.first_failed_at or now)
    if has_fallback and (age >= policy.fallback_after or row.attempts >= policy.max_attempts):
        return FailureVerdict.FALL_BACK
    return FailureVerdict.GIVE_UP if age >= policy.give_up_after else FailureVerdict.RETRY


def is_exhausted(policy: DeliveryPolicy, state: ChannelState, now: datetime) -> bool:
    """Whether the channel fails for so long that its rows need no attempt before they go to the fallback channel."""
    return state.failing_since is not None and now - state.failing_since >= policy.fallback_after
