"""What became of the notifications of an incident, by channel, as its decisions record it. Pure.

Called by scheduler.queries.alerting.incident_reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jobs.incidents.values import AlertDecision, Incident


class DeliveryState(StrEnum):
    """That of a channel, from the worst to the best one."""

    UNDELIVERED = "undelivered"
    FAILING = "failing"
    WAITING = "waiting"
    DIGEST = "digest"
    """It is in a digest that is sent later."""
    DISCARDED = "discarded"
    MOVED = "moved"
    """To the fallback channel."""
    DELIVERED = "delivered"


_STATE_OF_CODE = {
    "delivered": DeliveryState.DELIVERED,
    "send_failed": DeliveryState.FAILING,
    "given_up": DeliveryState.UNDELIVERED,
    "moved_to_fallback": DeliveryState.MOVED,
    "retried": DeliveryState.WAITING,
    "discarded": DeliveryState.DISCARDED,
}
DELIVERY_CODES = frozenset(_STATE_OF_CODE)
"""Codes of decisions about a notification of one channel."""
DELIVERY_RESULTS = DELIVERY_CODES - {"send_failed"}
"""Those after which the channel does not try again by itself."""
_WORST_FIRST = tuple(DeliveryState)


@dataclass(frozen=True, slots=True)
class ChannelDelivery:
    """`count`: notifications that were delivered. `first_at`: of the first one. `at`, `text`: of what `state` is about.

    `due_at`: of the digest.
    """

    channel: str
    state: DeliveryState
    count: int = 0
    first_at: datetime | None = None
    at: datetime | None = None
    text: str = ""
    due_at: datetime | None = None


def summarize_deliveries(
    incident: Incident, decisions: Iterable[AlertDecision], now: datetime
) -> tuple[ChannelDelivery, ...]:
    """Return the channels of the incident and their fallback channels, in the order in which they were notified."""
    found: dict[str, list[AlertDecision]] = {each.channel: [] for each in incident.announced}
    for decision in decisions:
        if decision.code in DELIVERY_CODES and (channel := decision.inputs.get("channel")):
            found.setdefault(channel, []).append(decision)
    due = {each.channel: each.due_at for each in incident.announced}
    return tuple(_summarize(channel, own, due.get(channel), now) for channel, own in found.items())


def _summarize(
    channel: str, decisions: Sequence[AlertDecision], due_at: datetime | None, now: datetime
) -> ChannelDelivery:
    if not decisions:
        is_digest = due_at is not None and due_at > now
        state = DeliveryState.DIGEST if is_digest else DeliveryState.WAITING
        return ChannelDelivery(channel, state, due_at=due_at if is_digest else None)
    # The last decision about a transition is what became of its notification.
    last = {each.inputs.get("number", ""): each for each in decisions}
    worst = min(reversed(last.values()), key=lambda each: _WORST_FIRST.index(_STATE_OF_CODE[each.code]))
    delivered = [each for each in decisions if each.code == "delivered"]
    return ChannelDelivery(
        channel,
        _STATE_OF_CODE[worst.code],
        len(delivered),
        delivered[0].at if delivered else None,
        worst.at,
        worst.text,
    )
