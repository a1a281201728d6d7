"""Which rows form the next messages. Pure.

The rows of an incident in a channel stay in order: while the first one waits for its next attempt, the others wait with
it, and form one message together when it is sent. The rows of digests of several incidents form one message, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from jobs.incidents.values import TransitionKind
from jobs.notifications.outbox import REPEATED_KINDS, ChannelState, OutboxRow

Batch = tuple[OutboxRow, ...]
"""Rows of one incident in order, or of several incidents in a digest, sent as one message."""

MAX_BATCH = 30
"""Rows of a message. A transaction has 100 rows: a deleted one, a new one and a decision for each of these."""
MAX_DIGEST = 300
"""Rows of a digest. Its result is recorded in several transactions."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def form_batches(rows: Sequence[OutboxRow], state: ChannelState, now: datetime) -> list[Batch]:
    """Return the messages that are due, those with fewer failures first.

    The message that a process was sending when it was killed comes first, of the same rows.
    """
    interrupted = find_interrupted(rows, state, now)
    groups = _group(rows)
    for row in interrupted:
        # Later rows of the incident wait for the next pass.
        groups.pop(_group_of(row), None)
    waits = _digest_waits(rows)
    due: list[Batch] = []
    digests: dict[tuple[str, ...], Batch] = {}
    for group in groups.values():
        batch = _due_rows(group, waits, now)
        if _is_digest(batch):
            digests[group[0].instead_of] = digests.get(group[0].instead_of, ()) + batch
        elif batch:
            due.append(batch)
    due += [
        batch[start : start + MAX_DIGEST] for batch in digests.values() for start in range(0, len(batch), MAX_DIGEST)
    ]
    due.sort(key=lambda batch: (batch[0].attempts, batch[0].key))
    return [interrupted, *due] if interrupted else due


def find_interrupted(rows: Sequence[OutboxRow], state: ChannelState, now: datetime) -> Batch:
    """Return the rows of which it is not known whether their message was sent.

    None if they must wait (DeliveryGate), or are reminders of an incident that was resolved meanwhile.
    """
    keys = frozenset(state.sending)
    found = tuple(row for row in rows if row.key in keys)
    if any((row.next_attempt_at or now) > now for row in found):
        return ()
    resolved = {row.notification.incident for row in rows if row.notification.kind is TransitionKind.RESOLVED}
    is_moot = all(row.notification.kind in REPEATED_KINDS and row.notification.incident in resolved for row in found)
    return () if is_moot else found


def find_next_due(rows: Sequence[OutboxRow]) -> datetime | None:
    """Return when the first of the rows is due, considering the order within incidents."""
    waits = _digest_waits(rows)
    return min((_next_due(group, waits) for group in _group(rows).values()), default=None)


def find_channel_due(
    rows: Sequence[OutboxRow], state: ChannelState, now: datetime, fallback_after: timedelta | None
) -> datetime:
    """Return when the channel is sent something, or its fallback channel. `fallback_after`: None without one."""
    due_at = find_next_due(rows) or now
    if state.sending or state.retry_at is None or state.retry_at <= due_at:
        return due_at
    if state.failing_since is None or fallback_after is None:
        return state.retry_at
    return max(due_at, min(state.retry_at, state.failing_since + fallback_after))


def list_incidents(batch: Batch) -> list[str]:
    """Return the incidents of the message: several in a digest."""
    return list(dict.fromkeys(row.notification.incident for row in batch))


def _group(rows: Sequence[OutboxRow]) -> dict[str, list[OutboxRow]]:
    groups: dict[str, list[OutboxRow]] = {}
    for row in rows:
        groups.setdefault(_group_of(row), []).append(row)
    return groups


def _group_of(row: OutboxRow) -> str:
    """Messages in place of another channel's are separate: they say for which channel they are."""
    return "\n".join((row.notification.incident, *row.instead_of))


def _is_digest(rows: Iterable[OutboxRow]) -> bool:
    return all(row.notification.is_digest for row in rows)


def _digest_waits(rows: Sequence[OutboxRow]) -> dict[tuple[str, ...], datetime]:
    """Return until when a digest that has failed waits: all of it with the row that has the back-off."""
    waits: dict[tuple[str, ...], datetime] = {}
    for row in rows:
        if row.notification.is_digest and row.next_attempt_at is not None:
            waits[row.instead_of] = max(waits.get(row.instead_of, row.next_attempt_at), row.next_attempt_at)
    return waits


def _next_due(group: Sequence[OutboxRow], waits: dict[tuple[str, ...], datetime]) -> datetime:
    """What is due at once takes along what waits for a digest before it."""
    due_at = group[0].next_attempt_at or min(row.notification.due_at for row in group)
    return max(due_at, waits.get(group[0].instead_of, _LONG_AGO)) if _is_digest(group) else due_at


def _due_rows(group: Sequence[OutboxRow], waits: dict[tuple[str, ...], datetime], now: datetime) -> Batch:
    if _next_due(group, waits) > now:
        return ()
    last = max((at for at, row in enumerate(group) if row.notification.due_at <= now), default=-1)
    return tuple(group[: min(last + 1, MAX_BATCH)])
