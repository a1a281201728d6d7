"""Digests: the rows of several incidents in one message, in order, over outages and kills."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.notifications.port import SendFailed
from tests.scheduler.alerting.delivery.memory_outbox import OPENED, RESOLVED, START, Killed, World

UNAVAILABLE = SendFailed("Expected status 2xx, got 503.")


def put(world: World, number: int, incident: str, kind: object = OPENED) -> None:
    world.put(number, kind, incident=incident, after=600 - _passed(world), is_digest=True)  # type: ignore[arg-type]


def _passed(world: World) -> float:
    return (world.clock.now() - START).total_seconds()


async def test_what_is_due_with_a_digest_is_one_message_then() -> None:
    world = World()
    put(world, 1, "a")
    put(world, 1, "b")
    put(world, 2, "a", RESOLVED)
    assert await world.deliver() == START + timedelta(minutes=10)
    assert not world.channels["teams"].sent
    await world.deliver_for(600)
    (message,) = world.channels["teams"].sent
    assert message.title == "DIGEST a resolved, b opened"
    assert message.dedup_key == "b:1:teams"
    assert world.codes() == ["delivered"] * 3
    assert not world.outbox.rows


async def test_a_digest_of_one_incident_is_an_ordinary_message() -> None:
    world = World()
    put(world, 1, "a")
    put(world, 2, "a", RESOLVED)
    await world.deliver_for(600)
    assert [each.title for each in world.channels["teams"].sent] == ["resolved a"]


async def test_what_is_due_at_once_does_not_wait_for_the_digest() -> None:
    world = World()
    put(world, 1, "a")
    put(world, 1, "c")
    world.put(1, incident="b")
    world.put(2, incident="a")
    await world.deliver()
    titles = [each.title for each in world.channels["teams"].sent]
    assert titles == ["opened a", "opened b"]
    assert [row.notification.incident for row in world.outbox.rows.values()] == ["c"]


async def test_a_digest_that_fails_waits_as_a_whole() -> None:
    world = World()
    put(world, 1, "a")
    put(world, 1, "b")
    world.channels["teams"].fail = lambda _: UNAVAILABLE
    await world.deliver_for(600)
    attempts = world.channels["teams"].attempts
    due_at = await world.deliver()
    assert due_at is not None
    assert due_at > world.clock.now()
    assert world.channels["teams"].attempts == attempts
    world.channels["teams"].fail = lambda _: None
    await world.deliver_for(300)
    (message,) = world.channels["teams"].sent
    assert message.title == "DIGEST a opened, b opened"
    assert "got 503" in message.text


async def test_a_digest_moves_to_the_fallback_channel_with_what_follows() -> None:
    world = World("teams", "mail", fallbacks={"teams": "mail"})
    put(world, 1, "a")
    put(world, 1, "b")
    world.channels["teams"].fail = lambda _: SendFailed("status 404", is_permanent=True)
    await world.deliver_for(600)
    (message,) = world.channels["mail"].sent
    assert message.text.startswith("Sent here instead of to the channel teams: status 404.")
    world.channels["teams"].fail = lambda _: None
    world.put(2, RESOLVED, incident="a", is_digest=True)
    world.put(1, OPENED, incident="c", is_digest=True)
    await world.deliver_for(60)
    assert [each.title for each in world.channels["teams"].sent] == ["opened c"]
    assert world.channels["mail"].sent[-1].title == "resolved a"


async def test_a_digest_larger_than_a_transaction_is_one_message() -> None:
    world = World()
    for number in range(120):
        put(world, 1, f"{number:03d}")
    await world.deliver_for(600)
    assert len(world.channels["teams"].sent) == 1
    assert world.codes() == ["delivered"] * 120
    assert world.outbox.states["teams"].delivered == 1


@settings(max_examples=20)
@given(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9),
    st.lists(st.tuples(st.sampled_from(["before", "after", "sent"]), st.integers(1, 4)), max_size=3),
    st.booleans(),
)
def test_each_row_of_a_digest_is_delivered_once_but_for_kills(
    incidents: list[str], kills: list[tuple[str, int]], is_large: bool
) -> None:
    asyncio.run(_play(incidents, kills, 15 if is_large else 1))


async def _play(incidents: list[str], kills: list[tuple[str, int]], factor: int) -> None:
    world = World()
    rows = 0
    for name in dict.fromkeys(incidents):
        for number in range(incidents.count(name)):
            for copy in range(factor):
                put(world, number + 1, f"{name}{copy}")
                rows += 1
    world.clock.move(600)
    killed = 0
    for where, count in [*kills, ("before", 0)]:
        _arm(world, where, count)
        try:
            await world.deliver(owner=f"process-{where}-{count}-{killed}")
        except Killed:
            killed += 1
            world.clock.move(120)
    await world.deliver_for(3600)
    assert not world.outbox.rows
    assert world.codes() == ["delivered"] * rows
    assert len({each.dedup_key for each in world.channels["teams"].sent}) == 1
    assert len(world.channels["teams"].sent) <= 1 + killed


def _arm(world: World, where: str, count: int) -> None:
    left = count

    def kill() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    world.outbox.before_commit = kill if where == "before" else lambda: None
    world.outbox.after_commit = kill if where == "after" else lambda: None
    world.channels["teams"].after_send = kill if where == "sent" else lambda: None
