"""Tests of channels: sent by the channel's own sender, marked as tests, beside the outbox; daily ones once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.ntfy import NtfyChannel
from jobs.notifications.channels.pagerduty import PagerDutyChannel
from jobs.notifications.port import ChannelState, Message, OutboxChanges, SendFailed, SentReference, add_answer
from jobs.notifications.templates.definition import TemplatesSection
from scheduler.alerting.channel_testing import ChannelTestSender, DailyTests
from scheduler.catalog.catalog import JobSnapshot
from scheduler.errors import NotFound
from scheduler.features.channels.service import ChannelTester
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.outbox import OutboxRows
from tests.jobs.incidents.world import HOUR
from tests.scheduler.alerting.test_message_source import Desk
from tests.scheduler.audit.memory_trail import API_CALLER, MemoryAuditTrail

NTFY = {"kind": "ntfy", "topic": "team"}


class Service:
    """A channel's sender, and the directory that finds it."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.failure: SendFailed | None = None

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(message)
        add_answer("ntfy.sh responded with status 200")
        return reference

    def find_sender(self, channel: str) -> Service | None:
        return self

    def find_fallback(self, channel: str) -> str | None:
        return None

    def list_names(self) -> list[str]:
        return ["phone"]


class TestDesk(Desk):
    """A desk with the channel `phone`."""

    __test__ = False

    def __init__(self, **channel: Any) -> None:
        model = NtfyChannel.model_validate(NTFY | channel)
        pager = PagerDutyChannel.model_validate({"kind": "pagerduty", "routing_key": {"secret": "key"}})
        parts = {"channels": (DefinedEntry("phone", model), DefinedEntry("pager", pager))}
        super().__init__(define_alerting(parts))
        self.service = Service()
        self.outbox = OutboxRows(self.store)
        self.sender = ChannelTestSender(self.service, self.source, self.outbox, self.clock)
        self.audit = MemoryAuditTrail()
        self.tester = ChannelTester(self.catalog, IncidentLog(self.store), self.sender, self.audit)

    def daily(self) -> DailyTests:
        return DailyTests(lambda: self.catalog.snapshot.alerting.channels, self.sender, self.outbox, self.clock)


async def test_a_test_shows_the_latest_incident_and_that_it_is_a_test() -> None:
    desk = TestDesk()
    incident, _ = await desk.open()
    result = await desk.tester.send_test("phone", caller=API_CALLER)
    (message,) = desk.service.sent
    assert result.delivered
    assert result.incident == incident.id
    assert result.answers == ["ntfy.sh responded with status 200"]
    assert message.title.startswith("TEST DOWN checkout since 02:59")
    assert message.text.startswith("This is a test of the channel phone, requested by local:loopback.")
    assert incident.id not in (message.incident_key, message.incident)
    assert desk.audit.actions == [("channel.test", "phone")]


async def test_without_an_incident_a_test_shows_a_sample() -> None:
    desk = TestDesk()
    result = await desk.tester.send_test("phone", caller=API_CALLER)
    assert result.incident == ""
    assert "Its content is a sample." in desk.service.sent[0].text


async def test_a_test_proves_that_a_failing_channel_works_again() -> None:
    desk = TestDesk()
    failing = ChannelState("phone", failing_since=desk.clock.now() - HOUR, failures=3, error="status 503")
    await desk.outbox.commit(OutboxChanges(failing))
    await desk.tester.send_test("phone", caller=API_CALLER)
    state = await desk.outbox.read_channel("phone")
    assert (state.failing_since, state.failures, state.error) == (None, 0, "")
    assert state.last_success_at == desk.clock.now()
    assert not await desk.outbox.list_channels()


async def test_a_channel_that_does_not_accept_a_test_is_reported_and_not_marked_as_failing() -> None:
    desk = TestDesk()
    desk.service.failure = SendFailed("ntfy.sh responded with status 403", is_permanent=True)
    result = await desk.tester.send_test("phone", caller=API_CALLER)
    assert (result.delivered, result.error) == (False, "ntfy.sh responded with status 403")
    assert (await desk.outbox.read_channel("phone")).etag is None


async def test_a_test_does_not_change_the_row_of_a_channel_that_delivers() -> None:
    desk = TestDesk()
    busy = ChannelState("phone", owner="other", leased_until=desk.clock.now() + HOUR)
    before = await desk.outbox.commit(OutboxChanges(busy))
    await desk.tester.send_test("phone", caller=API_CALLER)
    assert await desk.outbox.read_channel("phone") == before


async def test_a_service_that_opens_alerts_gets_the_resolution_of_the_test() -> None:
    desk = TestDesk()
    await desk.tester.send_test("pager", caller=API_CALLER)
    kinds = [(each.kind, each.incident_key) for each in desk.service.sent]
    key = kinds[0][1]
    assert kinds == [(TransitionKind.OPENED, key), (TransitionKind.RESOLVED, key)]


async def test_a_template_that_fails_is_reported() -> None:
    desk = TestDesk()
    alerting = desk.catalog.snapshot.alerting
    broken = TemplatesSection.model_construct(title="{{ nope }}", text=None, timezone=None)
    parts = {**alerting.parts, "templates": (DefinedEntry("phone", broken),)}
    desk.catalog.replace(JobSnapshot(desk.catalog, alerting=define_alerting(parts)))
    result = await desk.tester.send_test("phone", caller=API_CALLER)
    assert "'nope' is not a name of messages" in result.template_problem
    assert result.delivered


async def test_an_unknown_channel_or_incident_sends_nothing() -> None:
    desk = TestDesk()
    with pytest.raises(NotFound, match="did you mean phone"):
        await desk.tester.send_test("phon", caller=API_CALLER)
    with pytest.raises(NotFound, match="there is no incident"):
        await desk.tester.send_test("phone", "1772334060000-5f0c2a9e", caller=API_CALLER)
    assert not desk.service.sent


async def test_a_daily_test_is_sent_once_by_all_processes() -> None:
    desk = TestDesk(daily_test="04:00 Europe/Berlin")
    first, second = desk.daily(), desk.daily()
    await first.tick()
    assert [each.title for each in desk.service.sent] == [
        "TEST DOWN checkout since 03:01 (3 of 5 runs failed: status 503)"
    ]
    await asyncio.gather(second.tick(), desk.daily().tick(), first.tick())
    assert len(desk.service.sent) == 1
    desk.clock.move(86400)
    await asyncio.gather(first.tick(), second.tick())
    assert len(desk.service.sent) == 2


async def test_a_daily_test_that_fails_is_a_failure_of_the_channel() -> None:
    desk = TestDesk(daily_test="03:00")
    desk.service.failure = SendFailed("ntfy.sh responded with status 403")
    await desk.daily().tick()
    state = await desk.outbox.read_channel("phone")
    assert (state.failing_since, state.error) == (desk.clock.now(), "ntfy.sh responded with status 403")


async def test_a_daily_test_is_not_due_at_other_times() -> None:
    desk = TestDesk(daily_test="04:30")
    await desk.daily().tick()
    desk.clock.move(3 * 3600)
    await desk.daily().tick()
    assert not desk.service.sent
    assert desk.store.reads == 0
