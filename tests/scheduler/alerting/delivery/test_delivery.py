"""scheduler/alerting/delivery/delivery.py: a task a channel, on the real clock of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from jobs.running.clocks import SystemClock
from scheduler.alerting.delivery.delivery import OutboxDelivery
from scheduler.alerting.delivery.outcomes import DeliveryPolicy
from scheduler.stores.port import StoreUnavailable
from tests.scheduler.alerting.delivery.memory_outbox import World


class _Hanging:
    def __init__(self) -> None:
        self.attempts = 0

    async def send(self, *_: object) -> None:
        self.attempts += 1
        await asyncio.Event().wait()


def _world() -> World:
    world = World("teams", "mail", policy=DeliveryPolicy(send_timeout=timedelta(seconds=30)))
    world.clock = SystemClock()  # type: ignore[assignment]
    return world


async def _until(is_reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_reached():  # noqa: ASYNC110 - the world has no event
            await asyncio.sleep(0.005)


async def test_a_channel_that_hangs_delays_no_other() -> None:
    world = _world()
    world.channels["teams"] = hanging = _Hanging()  # type: ignore[assignment]
    world.put(1)
    world.put(1, channel="mail")
    delivery = OutboxDelivery(world.tools())
    delivery.start()
    await _until(lambda: bool(world.channels["mail"].sent) and hanging.attempts == 1)
    world.put(1, channel="mail", incident="b")
    delivery.wake(["mail"])
    await _until(lambda: len(world.channels["mail"].sent) == 2)
    for task in delivery._tasks.values():
        task.cancel()
    await delivery.aclose()
    assert world.outbox.states["teams"].sending, "the next process sends it again"


async def test_a_new_notification_is_sent_while_another_waits_for_its_retry() -> None:
    world = _world()
    world.put(1, after=3600)
    delivery = OutboxDelivery(world.tools())
    delivery.wake(["teams"])
    await asyncio.sleep(0.01)
    world.put(1, incident="b")
    delivery.wake(["teams"])
    await _until(lambda: len(world.channels["teams"].sent) == 1)
    await delivery.aclose()
    assert [row.notification.incident for row in world.outbox.rows.values()] == ["a"]


async def test_one_pass_delivers_all_channels_within_its_limit() -> None:
    world = _world()
    world.channels["teams"] = _Hanging()  # type: ignore[assignment]
    world.put(1)
    world.put(1, channel="mail")
    await OutboxDelivery(world.tools()).run_once(timedelta(seconds=0.1))
    assert len(world.channels["mail"].sent) == 1


async def test_an_outage_of_the_store_ends_no_task() -> None:
    world = _world()

    async def fail() -> list[str]:
        raise StoreUnavailable("busy")

    world.outbox.list_channels = fail  # type: ignore[method-assign]
    delivery = OutboxDelivery(world.tools())
    delivery.start()
    world.put(1)
    delivery.wake(["teams"])
    await _until(lambda: len(world.channels["teams"].sent) == 1)
    await delivery.run_once(timedelta(seconds=1))
    await delivery.aclose()
