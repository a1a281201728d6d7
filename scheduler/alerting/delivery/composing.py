"""What a message announces, and its text if it is late, merged, or in place of another channel's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from jobs.incidents.values import TransitionKind
from jobs.notifications.message import Message
from jobs.notifications.outbox import ChannelThread
from scheduler.alerting.delivery.batches import Batch, list_incidents
from scheduler.alerting.delivery.port import MessageRenderer


async def render_batch(renderer: MessageRenderer, batch: Batch, thread: ChannelThread | None) -> Message:
    """Return the message of the batch. `thread`: of its incident in the channel. Raises as MessageRenderer.render."""
    earlier = _find_error(batch) if len(batch) > 1 else ""
    latest = list({row.notification.incident: row.notification for row in batch}.values())
    if len(latest) > 1:
        rendered = await renderer.render_digest(latest, earlier)
    else:
        covers = [row.notification.kind for row in batch]
        rendered = await renderer.render(latest[0], earlier, covers, _find_unheard(thread))
    notices = [text for text in (_describe_fallback(batch), _describe_delay(batch)) if text]
    return replace(rendered, text="\n".join((*notices, rendered.text)), dedup_key=batch[-1].dedup_key)


def _find_unheard(thread: ChannelThread | None) -> TransitionKind | None:
    """Return the opening that a channel has not heard of if the incident is open; None if it has."""
    if thread is None or thread.moved_to:
        return TransitionKind.OPENED
    return TransitionKind.REOPENED if thread.is_over else None


def choose_kind(covers: Sequence[TransitionKind], unheard: TransitionKind | None, *, is_open: bool) -> TransitionKind:
    """Return what a message about these transitions announces. `is_open`: the incident, now.

    `unheard`: the opening that the receiver has not heard of. What followed an opening does not hide it, unless the
    incident is over. No receiver hears of an open incident first that it is resolved, or that no messages follow.
    """
    if not is_open:
        return TransitionKind.RESOLVED if TransitionKind.RESOLVED in covers else covers[-1]
    opening = next((kind for kind in (TransitionKind.OPENED, TransitionKind.REOPENED) if kind in covers), None)
    presumes_opening = covers[-1] in (TransitionKind.RESOLVED, TransitionKind.FLAPPING)
    return opening or (unheard if presumes_opening else None) or covers[-1]


def _describe_fallback(batch: Batch) -> str:
    names = batch[-1].instead_of
    if not names:
        return ""
    label = "channel" if len(names) == 1 else "channels"
    return f"Sent here instead of to the {label} {', '.join(names)}: {_as_reason(batch[-1].reason)}."


def _describe_delay(batch: Batch) -> str:
    """Describe what the message covers. The rendered text contains the error of earlier messages."""
    if len(list_incidents(batch)) > 1:
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
