"""scheduler/alerting/delivery/delivery.py, and a delivery through a real channel to a service on loopback."""

from __future__ import annotations

from typing import Any

from scheduler.alerting.delivery.channel_pass import DeliveryTools, deliver_channel
from scheduler.alerting.delivery.delivery import SenderDirectory
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService, make_channel, resources
from tests.scheduler.alerting.delivery.memory_outbox import RESOLVED, World


def _pagerduty(url: str = "http://127.0.0.1:9", **more: Any) -> Any:
    return make_channel(kind="pagerduty", url=url, routing_key={"secret": "key"}, **more)


async def test_a_sender_is_the_same_until_its_definition_changes() -> None:
    async with resources() as shared:
        channels = {"on-call": _pagerduty(fallback="mail")}
        directory = SenderDirectory(lambda: channels, shared)
        first = directory.find_sender("on-call")
        channels["on-call"] = _pagerduty(fallback="mail")
        assert directory.find_sender("on-call") is first
        assert (directory.find_fallback("on-call"), directory.list_names()) == ("mail", ["on-call"])

        channels["on-call"] = _pagerduty()
        assert directory.find_sender("on-call") is not first
        assert directory.find_fallback("on-call") is None

        del channels["on-call"]
        assert directory.find_sender("on-call") is directory.find_fallback("on-call") is None


async def test_an_incident_during_an_outage_of_the_service_is_triggered_and_resolved_once() -> None:
    world = World("on-call")
    async with (
        NotificationService(Answer(503), Answer(503), Answer(202)) as service,
        resources({"key": "k3y"}) as shared,
    ):
        directory = SenderDirectory(lambda: {"on-call": _pagerduty(service.url)}, shared)
        tools = DeliveryTools(world.outbox, directory, world, world.clock, "one", jitter=lambda: 0.0)
        world.put(1, channel="on-call")
        while (due_at := await deliver_channel(tools, "on-call")) is not None:
            world.clock.move((due_at - world.clock.now()).total_seconds())
            if len(service.requests) == 1:
                world.put(2, RESOLVED, channel="on-call")
    events = [request.json() for request in service.requests]
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {"a"}
    assert "responded with status 503" in events[2]["payload"]["custom_details"]["Text"]
