"""What became of the notifications of an incident, by channel."""

from __future__ import annotations

from datetime import timedelta

from jobs.incidents.values import AlertKey, Announcement, Incident, IncidentStatus, Member
from scheduler.features.incidents.models import DecisionModel
from scheduler.features.incidents.report import ChannelDelivery, DeliveryState, summarize_deliveries
from tests.scheduler.fakes import START

KEY = AlertKey("checkout", "failed")


def incident(*announced: Announcement) -> Incident:
    member = Member(KEY, 1, "down", 20, START, START)
    return Incident("1772366400000-00000001", 1, IncidentStatus.OPEN, START, (member,), KEY, announced=announced)


def decide(code: str, channel: str, number: int, seconds: float = 0.0) -> DecisionModel:
    at = START + timedelta(seconds=seconds)
    inputs = {"channel": channel, "number": str(number)}
    return DecisionModel(
        at=at, code=code, text=f"{code} {channel}", subject=None, rule=None, suppression=None, inputs=inputs
    )


def states(*decisions: DecisionModel, announced: tuple[Announcement, ...] = ()) -> dict[str, DeliveryState]:
    return {each.channel: each.state for each in summarize_deliveries(incident(*announced), decisions, START)}


def test_a_channel_without_a_decision_waits_or_is_in_a_digest() -> None:
    later = START + timedelta(hours=1)
    announced = (Announcement("mail", 1), Announcement("weekly", 1, later))

    assert summarize_deliveries(incident(*announced), [], START) == (
        ChannelDelivery("mail", DeliveryState.WAITING),
        ChannelDelivery("weekly", DeliveryState.DIGEST, due_at=later),
    )


def test_a_failure_that_was_followed_by_a_success_is_delivered() -> None:
    (found,) = summarize_deliveries(
        incident(), [decide("send_failed", "mail", 1), decide("delivered", "mail", 1, 5)], START
    )

    assert (found.state, found.count) == (DeliveryState.DELIVERED, 1)
    assert found.first_at == START + timedelta(seconds=5)


def test_the_worst_of_several_notifications_counts() -> None:
    assert states(decide("delivered", "mail", 1), decide("given_up", "mail", 2), decide("delivered", "mail", 3)) == {
        "mail": DeliveryState.UNDELIVERED
    }
    assert states(decide("given_up", "mail", 1), decide("retried", "mail", 1)) == {"mail": DeliveryState.WAITING}
    assert states(decide("given_up", "mail", 1), decide("discarded", "mail", 1)) == {"mail": DeliveryState.DISCARDED}


def test_a_fallback_channel_is_listed_after_the_one_that_it_replaces() -> None:
    found = states(
        decide("moved_to_fallback", "pager", 1), decide("delivered", "mail", 1), announced=(Announcement("pager", 1),)
    )

    assert list(found.items()) == [("pager", DeliveryState.MOVED), ("mail", DeliveryState.DELIVERED)]
