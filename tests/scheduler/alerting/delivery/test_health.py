"""scheduler/alerting/delivery/health.py."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.notifications.port import ChannelState
from scheduler.alerting.delivery.health import ChannelCondition, judge_channel
from tests.scheduler.alerting.delivery.memory_outbox import START

NEW = ChannelState("teams")
WORKING = ChannelState("teams", last_success_at=START)
FAILING = ChannelState("teams", last_success_at=START, failing_since=START, error="status 503")


@pytest.mark.parametrize(
    ("state", "given_up", "condition", "text", "is_degraded"),
    [
        (NEW, 0, ChannelCondition.NEVER_DELIVERED, "has never delivered a message", False),
        (WORKING, 0, ChannelCondition.WORKING, "last delivery 2 min ago", False),
        (FAILING, 0, ChannelCondition.FAILING, "has failed for 2 min: status 503", True),
        (
            WORKING,
            2,
            ChannelCondition.WORKING,
            "last delivery 2 min ago; 2 notifications could not be delivered",
            True,
        ),
    ],
)
def test_the_health_of_a_channel(
    state: ChannelState, given_up: int, condition: ChannelCondition, text: str, is_degraded: bool
) -> None:
    health = judge_channel(state, START + timedelta(minutes=2), given_up_recently=given_up)
    assert (health.condition, health.text, health.is_degraded) == (condition, text, is_degraded)
