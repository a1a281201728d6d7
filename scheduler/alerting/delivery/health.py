"""Judge the state of the channels. Called by the health probe and by explanations of alerts."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from jobs.fast_frozen import fast_frozen
from jobs.formats import describe_span, format_count
from jobs.notifications.port import ChannelState


class ChannelCondition(StrEnum):
    """Whether a channel delivers, by its last message."""

    WORKING = "working"
    FAILING = "failing"
    NEVER_DELIVERED = "never_delivered"
    """No message was sent to it yet: it is not known whether it works."""


@fast_frozen(frozen=True, slots=True)
class ChannelHealth:
    """`is_degraded`: health is degraded. `text`: a sentence for people, without secrets."""

    channel: str
    condition: ChannelCondition
    text: str
    is_degraded: bool


def judge_channel(
    state: ChannelState, now: datetime, *, given_up_recently: int = 0, is_defined: bool = True
) -> ChannelHealth:
    """Return the health of a channel. `given_up_recently`: its dead letters that were not discarded."""
    lost = _describe_lost(given_up_recently)
    if not is_defined:
        text = "; ".join(filter(None, ("is not defined", lost)))
        return ChannelHealth(state.channel, ChannelCondition.FAILING, text, bool(lost))
    if state.failing_since is not None:
        text = f"has failed for {describe_span(_whole_seconds(now - state.failing_since))}: {state.error}"
        return ChannelHealth(state.channel, ChannelCondition.FAILING, "; ".join(filter(None, (text, lost))), True)
    if state.last_success_at is None:
        text = "; ".join(filter(None, ("has never delivered a message", lost)))
        return ChannelHealth(state.channel, ChannelCondition.NEVER_DELIVERED, text, bool(lost))
    text = f"last delivery {describe_span(_whole_seconds(now - state.last_success_at))} ago"
    return ChannelHealth(state.channel, ChannelCondition.WORKING, "; ".join(filter(None, (text, lost))), bool(lost))


def _whole_seconds(span: timedelta) -> float:
    return float(max(0, int(span.total_seconds())))


def _describe_lost(number: int) -> str:
    return f"{format_count(number, 'notification')} could not be delivered" if number else ""
