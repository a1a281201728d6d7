"""What a sent or failed message changes in the store. Pure. Called by scheduler.alerting.delivery.channel_pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jobs.incidents.values import AlertDecision
from jobs.notifications.outbox import ChannelState, ChannelThread, OutboxChanges, OutboxRow, UndeliveredNotification
from jobs.notifications.port import SendFailed, SentReference
from scheduler.alerting.delivery.batches import Batch
from scheduler.alerting.delivery.policy import DeliveryPolicy, FailureVerdict, compute_backoff, judge_failure


def record_success(state: ChannelState, batch: Batch, reference: SentReference | None, now: datetime) -> OutboxChanges:
    """Delete the rows, store the reference for later messages, and count the message."""
    last = batch[-1].notification
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
    thread = ChannelThread(state.channel, last.incident, reference.value if reference else "")
    decisions = tuple(_decide(row, "delivered", _describe_sent(row, batch), now) for row in batch)
    return OutboxChanges(healthy, deleted=batch, threads=(thread,), decisions=decisions)


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
        threads=(ChannelThread(state.channel, batch[0].notification.incident, moved_to=fallback),),
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
