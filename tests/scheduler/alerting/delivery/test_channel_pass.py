"""scheduler/alerting/delivery/channel_pass.py: order, retries, merging, fallback, lease, repetition after a kill."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import timedelta

import pytest

from jobs.incidents.values import TransitionKind
from jobs.notifications.port import SendFailed, SentReference, UndeliveredNotification
from scheduler.alerting.delivery.channel_pass import deliver_channel
from scheduler.alerting.delivery.outcomes import DeliveryPolicy
from scheduler.stores.port import StoreUnavailable
from tests.scheduler.alerting.delivery.memory_outbox import REMINDED, RESOLVED, START, Killed, World

UNAVAILABLE = SendFailed("Expected status 2xx, got 503.")


async def test_a_due_notification_is_sent_once_and_its_row_deleted() -> None:
    world = World()
    world.put(1)
    assert await world.deliver() is None
    assert [each.dedup_key for each in world.channels["teams"].sent] == ["a:1:teams"]
    assert not world.outbox.rows
    assert world.codes() == ["delivered"]
    assert world.outbox.states["teams"].owner == ""


async def test_a_notification_that_is_not_due_is_sent_when_it_is() -> None:
    world = World()
    world.put(1, after=30)
    assert await world.deliver() == START + timedelta(seconds=30)
    await world.deliver_for(30)
    assert len(world.channels["teams"].sent) == 1


async def test_later_messages_get_the_reference_of_the_first_one() -> None:
    world = World()
    world.put(1)
    await world.deliver()
    world.put(2, RESOLVED)
    await world.deliver()
    assert world.channels["teams"].references == [None, SentReference("first-1")]


async def test_a_failed_message_is_sent_again_with_growing_waits() -> None:
    world = World()
    world.channels["teams"].fail = lambda _: UNAVAILABLE
    world.put(1)
    waits = []
    for _ in range(6):
        due = await world.deliver()
        assert due is not None
        waits.append((due - world.clock.now()).total_seconds())
        world.clock.move(waits[-1])
    assert waits == [1, 5, 30, 120, 300, 300]


async def test_retry_after_of_the_service_is_respected() -> None:
    world = World()
    world.channels["teams"].fail = lambda _: SendFailed("status 429", retry_after=90)
    world.put(1)
    assert await world.deliver() == START + timedelta(seconds=90)
    world.put(1, incident="b")
    assert await world.deliver() == START + timedelta(seconds=90)
    assert world.channels["teams"].attempts == 1


async def test_an_incident_that_is_over_before_it_could_be_sent_is_one_message() -> None:
    world = World()
    channel = world.channels["teams"]
    channel.fail = lambda _: UNAVAILABLE
    world.put(1)
    await world.deliver_for(480)
    world.put(2, RESOLVED)
    channel.fail = lambda _: None
    await world.deliver_for(600)
    (message,) = channel.sent
    assert message.kind is TransitionKind.RESOLVED
    covered = "Covers 2 transitions: opened 03:01 UTC, resolved 03:09 UTC."
    assert message.text == f"{covered}\nnot delivered: Expected status 2xx, got 503."
    assert message.dedup_key == "a:2:teams"


async def test_other_stale_transitions_are_listed_in_one_message() -> None:
    world = World()
    for number, kind in enumerate((TransitionKind.OPENED, TransitionKind.RAISED, REMINDED), 1):
        world.put(number, kind)
    await world.deliver()
    (message,) = world.channels["teams"].sent
    assert "Covers 3 transitions: opened 03:01 UTC, raised 03:01 UTC, reminded 03:01 UTC." in message.text


async def test_a_message_that_fails_does_not_hold_back_other_incidents() -> None:
    world = World()
    world.channels["teams"].fail = lambda message: UNAVAILABLE if message.incident == "a" else None
    world.put(1)
    world.put(1, incident="b")
    world.put(1, incident="c")
    await world.deliver()
    assert [each.incident for each in world.channels["teams"].sent] == ["b", "c"]


async def test_a_channel_that_fails_for_two_messages_gets_no_third() -> None:
    world = World()
    world.channels["teams"].fail = lambda _: UNAVAILABLE
    for name in "abcd":
        world.put(1, incident=name)
    await world.deliver()
    assert world.channels["teams"].attempts == 2


async def test_after_20_minutes_the_fallback_channel_gets_it_with_the_reason() -> None:
    world = World("teams", "mail", fallbacks={"teams": "mail"})
    world.channels["teams"].fail = lambda _: UNAVAILABLE
    world.put(1)
    await world.deliver_for(1200)
    await world.deliver_for(1)
    (message,) = world.channels["mail"].sent
    assert message.text.startswith("Sent here instead of to the channel teams: Expected status 2xx, got 503.")
    assert message.dedup_key == "a:1:mail:for:teams"
    assert not world.outbox.rows
    assert world.codes().count("moved_to_fallback") == 1


async def test_the_resolution_follows_the_opening_to_the_fallback_channel() -> None:
    world = World("teams", "mail", fallbacks={"teams": "mail"})
    world.channels["teams"].fail = lambda _: SendFailed("Expected status 2xx, got 404.", is_permanent=True)
    world.put(1)
    await world.deliver_for(1)
    world.channels["teams"].fail = lambda _: None
    world.put(2, RESOLVED)
    await world.deliver_for(1)
    assert not world.channels["teams"].sent
    assert [each.kind for each in world.channels["mail"].sent] == [TransitionKind.OPENED, RESOLVED]


async def test_once_a_channel_has_failed_for_long_all_its_messages_use_the_fallback() -> None:
    world = World("teams", "mail", fallbacks={"teams": "mail"})
    world.channels["teams"].fail = lambda _: UNAVAILABLE
    for name in "abcdef":
        world.put(1, incident=name)
    await world.deliver_for(1205)
    assert sorted(each.incident for each in world.channels["mail"].sent) == list("abcdef")


async def test_a_permanent_failure_without_fallback_is_a_dead_letter() -> None:
    world = World()
    world.channels["teams"].fail = lambda _: SendFailed("Expected status 2xx, got 404.", is_permanent=True)
    world.put(1)
    assert await world.deliver() is None
    (letter,) = world.outbox.dead_letters
    assert (letter.channels, letter.error) == (("teams",), "Expected status 2xx, got 404.")
    assert world.outbox.states["teams"].given_up == 1
    assert world.codes() == ["given_up"]


async def test_fallback_channels_that_name_each_other_end_in_a_dead_letter() -> None:
    world = World("teams", "mail", fallbacks={"teams": "mail", "mail": "teams"})
    for channel in world.channels.values():
        channel.fail = lambda _: SendFailed("gone", is_permanent=True)
    world.put(1)
    await world.deliver_for(5)
    assert [letter.channels for letter in world.outbox.dead_letters] == [("teams", "mail")]


async def test_without_fallback_it_is_given_up_after_a_day() -> None:
    world = World()
    world.channels["teams"].fail = lambda _: UNAVAILABLE
    world.put(1)
    await world.deliver_for(86_000)
    assert not world.outbox.dead_letters
    await world.deliver_for(1_000)
    assert len(world.outbox.dead_letters) == 1


async def test_the_notification_of_a_removed_channel_is_a_dead_letter() -> None:
    world = World()
    world.put(1, channel="gone")
    await world.deliver("gone")
    assert world.outbox.dead_letters[0].error == "the channel gone is not defined"


async def test_a_kill_between_send_and_record_repeats_the_same_message() -> None:
    world = World()
    channel = world.channels["teams"]

    def kill() -> None:
        raise Killed

    channel.after_send = kill
    world.put(1)
    with pytest.raises(Killed):
        await world.deliver()
    channel.after_send = lambda: None
    world.put(2, RESOLVED)
    await world.deliver(owner="two")
    assert len(channel.sent) == 1, "the lease of the killed process has not ended"
    world.clock.move(100)
    await world.deliver(owner="two")
    await world.deliver(owner="two")
    assert [each.dedup_key for each in channel.sent] == ["a:1:teams", "a:1:teams", "a:2:teams"]


async def test_an_outage_of_the_store_after_a_send_does_not_repeat_it() -> None:
    world = World()
    outages = iter([None, StoreUnavailable("busy"), StoreUnavailable("busy")])

    def fail() -> None:
        if (error := next(outages, None)) is not None:
            raise error

    world.outbox.before_commit = fail
    world.put(1)
    await world.deliver()
    assert len(world.channels["teams"].sent) == 1
    assert not world.outbox.rows


async def test_an_outage_of_the_store_while_rendering_is_not_a_failure_of_the_channel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()

    async def fail(*_: object) -> None:
        raise StoreUnavailable("busy")

    world.put(1)
    with monkeypatch.context() as patch:
        patch.setattr(world, "render", fail)
        with pytest.raises(StoreUnavailable):
            await world.deliver()
    assert world.outbox.states["teams"].failing_since is None
    await world.deliver()
    assert len(world.channels["teams"].sent) == 1


async def test_of_two_processes_one_delivers() -> None:
    world = World()
    world.put(1)
    world.put(1, incident="b")
    await asyncio.gather(world.deliver(owner="one"), world.deliver(owner="two"))
    await world.deliver(owner="two")
    assert sorted(each.incident for each in world.channels["teams"].sent) == ["a", "b"]


async def test_a_channel_that_hangs_is_cut_off_after_its_time_limit() -> None:
    world = World(policy=DeliveryPolicy(send_timeout=timedelta(seconds=0.01)))

    class Hanging:
        async def send(self, *_: object) -> None:
            await asyncio.Event().wait()

    world.channels["teams"] = Hanging()  # type: ignore[assignment]
    world.put(1)
    await world.deliver()
    assert world.outbox.states["teams"].error == "the channel did not accept the message within 0.01 s"


async def test_an_unexpected_error_of_a_sender_is_retried_without_its_text() -> None:
    world = World()

    def fail(_: object) -> SendFailed:
        raise ValueError("https://hooks.example/secret")

    world.channels["teams"].fail = fail
    world.put(1)
    assert await world.deliver() == START + timedelta(seconds=1)
    assert world.outbox.states["teams"].error == "unexpected ValueError"


def test_the_policy_lets_no_lease_end_during_a_message() -> None:
    policy = DeliveryPolicy()
    assert policy.lease >= policy.send_timeout + timedelta(seconds=20)


async def test_the_only_worker_does_not_wait_for_the_lease_of_a_killed_process() -> None:
    world = World()
    world.put(1)
    world.channels["teams"].after_send = _kill
    with pytest.raises(Killed):
        await world.deliver(owner="killed")
    world.channels["teams"].after_send = lambda: None
    assert await world.deliver(owner="another") == world.outbox.states["teams"].leased_until
    tools = dataclasses.replace(world.tools("restarted"), is_only_worker=True)
    assert await deliver_channel(tools, "teams") is None
    assert [each.dedup_key for each in world.channels["teams"].sent] == ["a:1:teams"] * 2


def _kill() -> None:
    raise Killed


async def test_a_notification_to_a_channel_that_does_not_exist_is_a_dead_letter_at_once() -> None:
    world = World()
    world.put(1, channel="gone")
    assert await world.deliver("gone") is None
    (letter,) = world.outbox.dead_letters
    assert (letter.channels, letter.error) == (("gone",), "the channel gone is not defined")
    assert not world.outbox.rows
    assert world.codes() == ["given_up"]


class HeardOfDelivery:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, int]] = []

    def message_sent(self, channel: str) -> None:
        self.events.append(("sent", channel, 1))

    def message_failed(self, channel: str) -> None:
        self.events.append(("failed", channel, 1))

    def notifications_given_up(self, channel: str, letters: Sequence[UndeliveredNotification]) -> None:
        self.events.append(("given up", channel, len(letters)))


async def test_each_result_is_reported_once_it_is_stored() -> None:
    world, heard = World(), HeardOfDelivery()
    tools = dataclasses.replace(world.tools(), listener=heard)
    world.put(1)
    await deliver_channel(tools, "teams")
    world.channels["teams"].fail = lambda _: SendFailed("status 404", is_permanent=True)
    world.put(2, RESOLVED)
    await deliver_channel(tools, "teams")
    assert heard.events == [("sent", "teams", 1), ("given up", "teams", 1), ("failed", "teams", 1)]
