"""What a sent or failed message changes in the store: when it is sent again, or by the fallback, or given up. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import AlertDecision, TransitionKind
from jobs.notifications.port import (
    REPEATED_KINDS,
    ChannelState,
    ChannelThread,
    OutboxChanges,
    OutboxRow,
    SendFailed,
    UndeliveredNotification,
)
from scheduler.alerting.delivery.rendering import Batch, list_incidents

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


_MOOT = "it is not sent any more: the message about the resolution replaces it"
_DIGEST_ROWS = 20
"""Of a transaction. Each can be deleted and inserted, and have a thread and a decision."""


def record_success(state: ChannelState, batch: Batch, thread: ChannelThread, now: datetime) -> OutboxChanges:
    """Delete the rows, store the thread for later messages, and count the message."""
    healthy = replace(
        state,
        sending=(),
        last_success_at=now,
        failing_since=None,
        failures=0,
        error="",
        retry_at=None,
        delivered=state.delivered + 1,
    )
    # A digest is not the first message of any of its incidents.
    threads = () if len(list_incidents(batch)) > 1 else (thread,)
    decisions = tuple(
        _decide(row, "moot", _MOOT, now)
        if _is_moot(row, batch)
        else _decide(row, "delivered", _describe_sent(row, batch), now)
        for row in batch
    )
    return OutboxChanges(healthy, deleted=batch, threads=threads, decisions=decisions)


def record_failure(
    policy: DeliveryPolicy,
    state: ChannelState,
    batch: Batch,
    failure: SendFailed,
    now: datetime,
    *,
    fallback: str | None,
    jitter: float,
) -> OutboxChanges:
    """Let the first row wait, and the others of the incident with it, or move or give up all of them."""
    error = str(failure)
    attempts = batch[0].attempts + 1
    first_failed_at = batch[0].first_failed_at or now
    next_at = now + compute_backoff(attempts, jitter, failure.retry_after)
    if fallback is not None:
        next_at = min(next_at, max(now, first_failed_at + policy.fallback_after))
    failed = replace(batch[0], attempts=attempts, first_failed_at=first_failed_at, next_attempt_at=next_at, error=error)
    failing = replace(
        state, sending=(), failing_since=state.failing_since or now, failures=state.failures + 1, error=error
    )
    match judge_failure(policy, failed, failure, now, has_fallback=fallback is not None):
        case FailureVerdict.FALL_BACK if fallback is not None:
            return move_batch(failing, batch, fallback, error, now)
        case FailureVerdict.RETRY:
            text = f"attempt {attempts} failed: {error}"
            return OutboxChanges(failing, replaced=(failed,), decisions=(_decide(failed, "send_failed", text, now),))
        case _:
            return give_up_batch(failing, batch, error, now)


def pause_channel(state: ChannelState, failure: SendFailed, now: datetime, jitter: float) -> ChannelState:
    """Return the state of a channel that fails for each message: it gets none before the back-off ends."""
    return replace(state, retry_at=now + compute_backoff(state.failures, jitter, failure.retry_after))


def move_batch(state: ChannelState, batch: Batch, fallback: str, error: str, now: datetime) -> OutboxChanges:
    """Put the rows into the fallback channel, with later ones of the incident to follow."""
    moved = tuple(
        OutboxRow(
            "",
            replace(row.notification, channel=fallback),
            instead_of=(*row.instead_of, state.channel),
            reason=error,
        )
        for row in batch
    )
    text = f"goes to the fallback channel {fallback}: {error}"
    return OutboxChanges(
        replace(state, sending=()),
        deleted=batch,
        inserted=moved,
        threads=tuple(ChannelThread(state.channel, each, moved_to=fallback) for each in list_incidents(batch)),
        decisions=tuple(_decide(row, "moved_to_fallback", text, now) for row in batch),
    )


def give_up_batch(state: ChannelState, batch: Batch, error: str, now: datetime) -> OutboxChanges:
    """Turn the rows into dead letters."""
    return OutboxChanges(
        replace(state, sending=(), given_up=state.given_up + len(batch)),
        deleted=batch,
        decisions=tuple(_decide(row, "given_up", f"could not be delivered: {error}", now) for row in batch),
        dead_letters=tuple(
            UndeliveredNotification(row.notification, (*row.instead_of, state.channel), now, error) for row in batch
        ),
    )


def split_changes(changes: OutboxChanges, current: ChannelState) -> list[OutboxChanges]:
    """Return the transactions of a result: a digest has more rows than one transaction.

    Until the last one, the state is the current one with the remaining rows as those whose message is being sent. So
    after a crash they form a message with the same deduplication key again. `current`: the state in the store.
    """
    rows = changes.deleted
    if len(list_incidents(rows)) <= 1:
        return [changes]
    parts = []
    for start in range(0, len(rows), _DIGEST_ROWS):
        some = slice(start, start + _DIGEST_ROWS)
        left = tuple(row.key for row in rows[start + _DIGEST_ROWS :])
        incidents = frozenset(list_incidents(rows[some]))
        parts.append(
            OutboxChanges(
                replace(current, sending=left) if left else changes.channel,
                deleted=rows[some],
                inserted=changes.inserted[some],
                threads=tuple(each for each in changes.threads if each.incident in incidents),
                decisions=changes.decisions[some],
                dead_letters=changes.dead_letters[some],
            )
        )
    return parts


def _is_moot(row: OutboxRow, batch: Batch) -> bool:
    """Return whether the message is about the resolution in place of a reminder or an escalation."""
    is_resolved = batch[-1].notification.kind is TransitionKind.RESOLVED and not batch[-1].notification.is_digest
    return is_resolved and row.notification.kind in REPEATED_KINDS


def _describe_sent(row: OutboxRow, batch: Batch) -> str:
    text = f"delivered to {row.notification.channel}"
    if row.instead_of:
        text += f" instead of {', '.join(row.instead_of)}"
    if len(batch) > 1:
        text += f" in one message with {len(batch) - 1} more"
    return text


def _decide(row: OutboxRow, code: str, text: str, now: datetime) -> AlertDecision:
    notification = row.notification
    inputs = {
        "channel": notification.channel,
        "number": str(notification.number),
        "attempts": str(row.attempts),
        "dedup_key": row.dedup_key,
    }
    return AlertDecision(notification.incident, now, code, text, inputs=inputs)
