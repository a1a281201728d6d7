"""The stored outbox, on every store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.incidents.values import AlertDecision, Notification, TransitionKind
from jobs.notifications.port import ChannelState, ChannelThread, OutboxChanges, OutboxRow, UndeliveredNotification
from scheduler.alerting.delivery.channel_pass import DeliveryTools, deliver_channel
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.outbox import OutboxRows
from scheduler.stores.port import RowChanged, Store
from tests.jobs.incidents.world import HOUR, START
from tests.jobs.incidents.world import World as EngineWorld
from tests.scheduler.alerting.delivery.memory_outbox import World
from tests.scheduler.stores.alerting.passes import StoredPasses

INCIDENT = "1772334060000-5f0c2a9e"


def row(number: int, channel: str = "teams", **fields: object) -> OutboxRow:
    said = Notification(INCIDENT, number, TransitionKind.OPENED, channel, START)
    return replace(OutboxRow("", said), **fields)  # type: ignore[arg-type]


async def put(outbox: OutboxRows, *rows: OutboxRow) -> ChannelState:
    return await outbox.commit(OutboxChanges(await outbox.read_channel("teams"), inserted=rows))


async def test_rows_are_listed_by_channel_in_order(store: Store) -> None:
    outbox = OutboxRows(store)
    assert await outbox.list_channels() == []
    await put(outbox, row(2), row(1), row(1, "mail"), row(1, "mail", instead_of=("teams",), reason="status 503"))
    assert await outbox.list_channels() == ["mail", "teams"]
    assert [each.notification.number for each in await outbox.list_rows("teams", 10)] == [1, 2]
    own, other = await outbox.list_rows("mail", 10)
    assert (own.instead_of, other.instead_of, other.reason) == ((), ("teams",), "status 503")
    assert len(await outbox.list_rows("teams", 1)) == 1


async def test_changes_of_a_row_that_another_process_has_changed_are_not_stored(store: Store) -> None:
    outbox = OutboxRows(store)
    state = await put(outbox, row(1), row(2))
    first, second = await outbox.list_rows("teams", 10)
    later = replace(first, attempts=1, next_attempt_at=START + HOUR, error="status 503")
    state = await outbox.commit(OutboxChanges(replace(state, failures=1), replaced=(later,)))
    with pytest.raises(RowChanged):
        await outbox.commit(OutboxChanges(state, deleted=(second, first)))
    changed, _ = await outbox.list_rows("teams", 10)
    assert changed == replace(later, etag=changed.etag)


async def test_a_channel_is_fenced_from_its_first_state_on(store: Store) -> None:
    outbox = OutboxRows(store)
    new = await outbox.read_channel("teams")
    stored = await outbox.commit(OutboxChanges(replace(new, owner="one", leased_until=START, sending=("a", "b"))))
    assert await outbox.read_channel("teams") == stored
    for outdated in (new, replace(stored, etag=new.etag)):
        with pytest.raises(RowChanged):
            await outbox.commit(OutboxChanges(outdated))
    assert await outbox.list_channel_states() == [stored]


async def test_threads_decisions_and_dead_letters_are_stored_together(store: Store) -> None:
    outbox = OutboxRows(store)
    thread = ChannelThread("teams", INCIDENT, "message-1")
    decision = AlertDecision(INCIDENT, START, "given_up", "could not be delivered", inputs={"channel": "teams"})
    letter = UndeliveredNotification(row(1).notification, ("teams", "mail"), START, "status 404")
    state = await outbox.read_channel("teams")
    for _ in range(2):
        state = await outbox.commit(
            OutboxChanges(state, threads=(thread,), decisions=(decision,), dead_letters=(letter,))
        )
    assert await outbox.read_thread("teams", INCIDENT) == thread
    assert await outbox.read_thread("mail", INCIDENT) is None
    assert await outbox.list_undelivered() == [letter]
    page = await IncidentLog(store).list_decisions(INCIDENT, limit=1)
    rest = await IncidentLog(store).list_decisions(INCIDENT, limit=1, after=page.continuation)
    assert page.entries == rest.entries == (decision,)


async def test_what_a_pass_of_the_engine_has_stored_is_delivered(store: Store) -> None:
    passes, channels, outbox = StoredPasses(store, EngineWorld()), World("mail"), OutboxRows(store)
    passes.world.fail("checkout")
    await passes.write_alerts("checkout")
    passes.world.now += timedelta(minutes=1)
    await passes.run()
    channels.clock.move((passes.world.now - channels.clock.now()).total_seconds())

    assert await outbox.list_channels() == ["mail"]
    await deliver_channel(DeliveryTools(outbox, channels, channels, channels.clock, "one"), "mail")

    (message,) = channels.channels["mail"].sent
    assert message.kind is TransitionKind.OPENED
    assert await outbox.list_channels() == []
    decisions = await IncidentLog(store).list_decisions(message.incident, limit=50)
    assert decisions.entries[-1].code == "delivered"
