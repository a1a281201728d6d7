"""The text of a message that is late, merged, or in place of another channel's. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jobs.incidents.values import TransitionKind
from jobs.notifications.message import Message
from scheduler.alerting.delivery.batches import Batch

_OPENINGS = frozenset({TransitionKind.OPENED, TransitionKind.REOPENED})


def compose_message(rendered: Message, batch: Batch) -> Message:
    """Return the message of the batch. `rendered`: that of its last notification."""
    notices = [text for text in (_describe_fallback(batch), _describe_delay(batch)) if text]
    return replace(rendered, text="\n".join((*notices, rendered.text)), dedup_key=batch[-1].dedup_key)


def _describe_fallback(batch: Batch) -> str:
    names = batch[-1].instead_of
    if not names:
        return ""
    label = "channel" if len(names) == 1 else "channels"
    return f"Sent here instead of to the {label} {', '.join(names)}: {_as_reason(batch[-1].reason)}."


def _describe_delay(batch: Batch) -> str:
    """Describe what the message covers, and why it was not sent before."""
    error = next((row.error for row in reversed(batch) if row.error), "")
    first, last = batch[0].notification, batch[-1].notification
    if len(batch) == 1:
        return f"Could not be sent at {_clock(first.due_at)}: {_as_reason(error)}." if error else ""
    if first.kind in _OPENINGS and last.kind is TransitionKind.RESOLVED:
        covered = f"Was open from {_clock(first.due_at)} to {_clock(last.due_at)}"
    else:
        kinds = ", ".join(
            f"{row.notification.kind.replace('_', ' ')} {_clock(row.notification.due_at)}" for row in batch
        )
        covered = f"Covers {len(batch)} transitions: {kinds}"
    return f"{covered}; could not be sent then: {_as_reason(error)}." if error else f"{covered}."


def _clock(at: datetime) -> str:
    return f"{at:%H:%M} UTC"


def _as_reason(error: str) -> str:
    return error.rstrip(".") or "unknown error"
