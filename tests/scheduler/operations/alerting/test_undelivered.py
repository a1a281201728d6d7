"""The states of channels, and sending again or discarding what they could not deliver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.values import Incident
from jobs.notifications.channels.webhook import WebhookChannel
from jobs.notifications.port import OutboxChanges, UndeliveredNotification
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.errors import Conflict, NotFound
from scheduler.features.channels.queries import ChannelQueries
from scheduler.features.channels.service import UndeliveredManager
from tests.scheduler.alerting.desk import IncidentDesk, open_desk
from tests.scheduler.audit.memory_trail import API_CALLER

PAGER = DefinedEntry(
    "pager", WebhookChannel.model_validate({"kind": "webhook", "url": "https://a.example/", "fallback": "mail"})
)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[IncidentDesk]:
    async with open_desk(tmp_path) as found:
        yield found


def channels_of(desk: IncidentDesk) -> ChannelQueries:
    catalog = Catalog(JobSnapshot([], alerting=define_alerting({"channels": (PAGER,)})))
    return ChannelQueries(catalog, desk.stored.outbox_rows, desk.stored.undelivered, desk.clock)


def manager_of(desk: IncidentDesk) -> UndeliveredManager:
    stored = desk.stored.undelivered
    return UndeliveredManager(channels_of(desk), stored, desk.clock, desk.audit, lambda names: desk.woken.extend(names))


async def give_up(desk: IncidentDesk, *, by: tuple[str, ...] = ("mail",)) -> Incident:
    """Let the opening of a new incident be undeliverable."""
    incident = await desk.fail("checkout")
    outbox = desk.stored.outbox_rows
    (row,) = await outbox.list_rows("mail", 10)
    letter = UndeliveredNotification(row.notification, by, desk.clock.now(), "Expected status 202, got 503.")
    state = replace(await outbox.read_channel("mail"), given_up=1, failing_since=desk.clock.now(), error="503")
    await outbox.commit(OutboxChanges(state, deleted=(row,), dead_letters=(letter,)))
    return incident


async def test_channels_are_listed_with_what_waits_and_what_was_given_up(desk: IncidentDesk) -> None:
    await give_up(desk)
    await desk.manager().add_note((await desk.fail("search")).id, "a note", caller=API_CALLER)

    mail, pager = (await channels_of(desk).list_channels()).channels

    assert (mail.name, mail.kind, mail.waiting, mail.undelivered, mail.given_up) == ("mail", "", 2, 1, 1)
    assert (pager.name, pager.kind, pager.fallback, pager.waiting) == ("pager", "webhook", "mail", 0)


async def test_a_notification_that_is_sent_again_waits_in_the_outbox_of_its_first_channel(desk: IncidentDesk) -> None:
    incident = await give_up(desk, by=("pager", "mail"))
    letter_id = f"{incident.id}.1"

    assert (await manager_of(desk).retry("pager", [letter_id], caller=API_CALLER)).retried == [letter_id]

    (row,) = await desk.stored.outbox_rows.list_rows("pager", 10)
    assert (row.notification.number, row.notification.channel, row.attempts) == (1, "pager", 0)
    assert await channels_of(desk).find_letters("pager") == []
    assert desk.woken == ["pager"]
    assert desk.audit.actions == [("notification.retry", "pager")]
    decisions = (await desk.queries().list_decisions(incident.id, limit=9)).decisions
    assert (decisions[-1].code, decisions[-1].text) == (
        "retried",
        "is sent to pager again, as local:loopback has requested",
    )
    with pytest.raises(Conflict, match="has delivered everything"):
        await manager_of(desk).retry("pager", caller=API_CALLER)


async def test_a_notification_that_waits_in_the_outbox_already_is_not_sent_twice(desk: IncidentDesk) -> None:
    incident = await give_up(desk)
    (letter,) = await channels_of(desk).find_letters("mail")
    await manager_of(desk).retry("mail", caller=API_CALLER)
    await desk.stored.outbox_rows.commit(
        OutboxChanges(await desk.stored.outbox_rows.read_channel("mail"), dead_letters=(letter.letter,))
    )

    await manager_of(desk).retry("mail", caller=API_CALLER)

    assert len(await desk.stored.outbox_rows.list_rows("mail", 10)) == 1
    assert await desk.stored.undelivered.find("mail", f"{incident.id}.1") is None


async def test_a_discarded_notification_is_recorded_with_its_incident(desk: IncidentDesk) -> None:
    incident = await give_up(desk)

    await manager_of(desk).discard("mail", f"{incident.id}.1", caller=API_CALLER)

    assert desk.audit.actions == [("notification.discard", f"{incident.id}.1")]
    assert (await desk.queries().list_decisions(incident.id, limit=9)).decisions[-1].code == "discarded"
    with pytest.raises(NotFound, match="no undelivered notification"):
        await manager_of(desk).discard("mail", f"{incident.id}.1", caller=API_CALLER)


async def test_an_unknown_channel_or_notification_is_an_error(desk: IncidentDesk) -> None:
    with pytest.raises(NotFound, match="did you mean pager"):
        await channels_of(desk).list_undelivered("pagr")
    with pytest.raises(NotFound, match="no undelivered notification 'x'"):
        await manager_of(desk).retry("pager", ["x"], caller=API_CALLER)
    assert await desk.stored.undelivered.find("pager", "x") is None
