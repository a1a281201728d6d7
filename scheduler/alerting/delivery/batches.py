"""Which rows form the next messages. Pure.

The rows of an incident in a channel stay in order: while the first one waits for its next attempt, the others wait with
it, and form one message together when it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.notifications.outbox import ChannelState, OutboxRow

Batch = tuple[OutboxRow, ...]
"""Rows of one incident in order, sent as one message."""

MAX_BATCH = 30
"""Rows of a message. A transaction has 100 rows: a deleted one, a new one and a decision for each of these."""


def form_batches(rows: Sequence[OutboxRow], state: ChannelState, now: datetime) -> list[Batch]:
    """Return the messages that are due, those with fewer failures first.

    The message that a process was sending when it was killed comes first, of the same rows.
    """
    interrupted = find_interrupted(rows, state)
    groups: dict[str, list[OutboxRow]] = {}
    for row in rows:
        groups.setdefault(_group_of(row), []).append(row)
    if interrupted:
        # Later rows of the incident wait for the next pass.
        del groups[_group_of(interrupted[0])]
    due = [_due_rows(group, now) for group in groups.values()]
    batches = sorted((batch for batch in due if batch), key=lambda batch: (batch[0].attempts, batch[0].key))
    return [interrupted, *batches] if interrupted else batches


def find_interrupted(rows: Sequence[OutboxRow], state: ChannelState) -> Batch:
    """Return the rows of which it is not known whether their message was sent."""
    keys = frozenset(state.sending)
    return tuple(row for row in rows if row.key in keys)


def find_next_due(rows: Sequence[OutboxRow]) -> datetime | None:
    """Return when the first of the rows is due, considering the order within incidents."""
    heads: dict[str, datetime] = {}
    for row in rows:
        heads.setdefault(_group_of(row), row.due_at)
    return min(heads.values(), default=None)


def _group_of(row: OutboxRow) -> str:
    """Messages in place of another channel's are separate: they say for which channel they are."""
    return "\n".join((row.notification.incident, *row.instead_of))


def _due_rows(group: Sequence[OutboxRow], now: datetime) -> Batch:
    if group[0].due_at > now:
        return ()
    until = next((at for at, row in enumerate(group) if row.notification.due_at > now), len(group))
    return tuple(group[: min(until, MAX_BATCH)])
