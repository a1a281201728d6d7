"""scheduler/alerting/delivery/rendering.py: messages of what a pass of the engine has stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.incidents.values import Incident, Notification, Transition, TransitionKind
from jobs.notifications.port import SendFailed
from jobs.notifications.templates.incident_message import MessageDetails
from scheduler.alerting.delivery.rendering import MessageTemplates, StoredIncidentRenderer
from scheduler.stores.alerting.incident_log import IncidentLog
from tests.jobs.incidents.world import MINUTE, START, World
from tests.scheduler.stores.alerting.passes import StoredPasses
from tests.scheduler.stores.memory import MemoryData, MemoryStore


class Source:
    """Implements MessageSource."""

    def __init__(self, templates: MessageTemplates | None = None) -> None:
        self.templates = templates or MessageTemplates()

    async def read_details(self, _incident: Incident, _transition: Transition, _channel: str) -> MessageDetails:
        return MessageDetails(runbook="https://wiki.example.com/checkout")

    def find_link(self, incident: str) -> str:
        return f"https://scheduler.example.com/{incident}"

    def find_target(self, incident: Incident) -> str:
        return f"GET https://{incident.lead.subject}.example.com/"

    def find_templates(self, _channel: str) -> MessageTemplates:
        return self.templates


async def stored_incident(*, is_over: bool = False) -> tuple[IncidentLog, Notification]:
    store = MemoryStore(MemoryData())
    passes = StoredPasses(store, World())
    passes.world.fail("checkout")
    await passes.write_alerts("checkout")
    passes.world.now += MINUTE
    result = await passes.run()
    if is_over:
        passes.world.recover("checkout")
        await passes.write_alerts("checkout")
        passes.world.now += MINUTE
        await passes.run()
    return IncidentLog(store), result.steps[0].notifications[0]


async def test_a_message_has_the_incident_and_the_details() -> None:
    log, notification = await stored_incident()
    message = await StoredIncidentRenderer(log, Source()).render(notification, "")
    assert message.kind is TransitionKind.OPENED
    assert message.title.startswith("DOWN checkout since 02:59")
    assert message.dedup_key == notification.dedup_key
    assert message.runbook == "https://wiki.example.com/checkout"


async def test_a_message_in_place_of_earlier_ones_contains_why() -> None:
    log, notification = await stored_incident()
    message = await StoredIncidentRenderer(log, Source()).render(notification, "status 503")
    assert "status 503" in message.text


async def test_a_template_that_fails_gives_the_default_message(caplog: pytest.LogCaptureFixture) -> None:
    log, notification = await stored_incident()
    source = Source(MessageTemplates(title="{{ 1 // 0 }}"))
    message = await StoredIncidentRenderer(log, source).render(notification, "")
    assert message.title.startswith("DOWN checkout")
    assert "could not render the templates of channel mail" in caplog.text


async def test_a_deleted_incident_is_a_permanent_failure() -> None:
    log, _ = await stored_incident()
    unknown = Notification("1772334060000-5f0c2a9e", 1, TransitionKind.OPENED, "mail", START)
    with pytest.raises(SendFailed, match="does not exist") as failed:
        await StoredIncidentRenderer(log, Source()).render(unknown, "")
    assert failed.value.is_permanent


async def test_an_opening_is_announced_before_what_followed_it_while_the_incident_is_open() -> None:
    log, notification = await stored_incident()
    joined = replace(notification, number=2, kind=TransitionKind.JOINED)
    covers = (TransitionKind.OPENED, TransitionKind.JOINED)
    message = await StoredIncidentRenderer(log, Source()).render(joined, "", covers)
    assert (message.kind, message.number, message.covers) == (TransitionKind.OPENED, 2, covers)
    assert message.title.startswith("DOWN checkout since")


@pytest.mark.parametrize("last", [TransitionKind.RESOLVED, TransitionKind.FLAPPING])
async def test_no_receiver_hears_first_that_an_open_incident_is_resolved_or_flaps(last: TransitionKind) -> None:
    log, notification = await stored_incident()
    renderer = StoredIncidentRenderer(log, Source())
    message = await renderer.render(replace(notification, kind=last), "", (last,), TransitionKind.OPENED)
    assert message.kind is TransitionKind.OPENED
    assert message.title.startswith("DOWN checkout since")
    assert message.covers == (last,)


async def test_an_opening_that_covers_flapping_says_that_no_messages_follow() -> None:
    log, notification = await stored_incident()
    flapping = replace(notification, kind=TransitionKind.FLAPPING)
    message = await StoredIncidentRenderer(log, Source()).render(
        flapping, "", (TransitionKind.OPENED, TransitionKind.FLAPPING)
    )
    assert "It is flapping: no further messages until it is stable." in message.text


async def test_what_opened_and_ended_before_the_first_message_is_one_resolution() -> None:
    log, notification = await stored_incident(is_over=True)
    covers = (TransitionKind.OPENED, TransitionKind.RESOLVED, TransitionKind.NOTE_ADDED)
    last = replace(notification, number=3, kind=TransitionKind.NOTE_ADDED)
    message = await StoredIncidentRenderer(log, Source()).render(last, "", covers, TransitionKind.OPENED)
    assert (message.kind, message.covers) == (TransitionKind.RESOLVED, covers)
    assert message.title.startswith("RESOLVED checkout, was down")
