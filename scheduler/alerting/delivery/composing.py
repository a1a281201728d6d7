"""The text of a message that is late, merged, or in place of another channel's. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jobs.incidents.values import Notification
from jobs.notifications.message import Message
from scheduler.alerting.delivery.batches import Batch


def find_earlier_error(batch: Batch) -> str:
    """Return why earlier messages that the batch contains were not delivered; empty if it has none."""
    return _find_error(batch) if len(batch) > 1 else ""


def list_latest(batch: Batch) -> list[Notification]:
    """Return the latest notification of each incident, in order."""
    return list({row.notification.incident: row.notification for row in batch}.values())


def compose_message(rendered: Message, batch: Batch) -> Message:
    """Return the message of the batch. `rendered`: that of its last notification, or of the digest."""
    notices = [text for text in (_describe_fallback(batch), _describe_delay(batch)) if text]
    return replace(rendered, text="\n".join((*notices, rendered.text)), dedup_key=batch[-1].dedup_key)


def _describe_fallback(batch: Batch) -> str:
    names = batch[-1].instead_of
    if not names:
        return ""
    label = "channel" if len(names) == 1 else "channels"
    return f"Sent here instead of to the {label} {', '.join(names)}: {_as_reason(batch[-1].reason)}."


def _describe_delay(batch: Batch) -> str:
    """Describe what the message covers. The rendered text contains the error of earlier messages."""
    if len(batch) > 1 and all(row.notification.is_digest for row in batch):
        return ""
    if len(batch) > 1:
        kinds = (f"{row.notification.kind.replace('_', ' ')} {_clock(row.notification.due_at)}" for row in batch)
        return f"Covers {len(batch)} transitions: {', '.join(kinds)}."
    error = _find_error(batch)
    return f"Could not be sent at {_clock(batch[0].notification.due_at)}: {_as_reason(error)}." if error else ""


def _find_error(batch: Batch) -> str:
    return next((row.error for row in reversed(batch) if row.error), "")


def _clock(at: datetime) -> str:
    return f"{at:%H:%M} UTC"


def _as_reason(error: str) -> str:
    return error.rstrip(".") or "unknown error"
