"""Pauses, on every store."""

from __future__ import annotations

import logging

import pytest

from jobs.schedules import parse_schedule
from scheduler.stores.gates import Pause, Pauses
from scheduler.stores.port import Store, StoreUnavailable
from scheduler.stores.table import READ_INTERVAL
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import NOON, at

DEPLOYMENT = Pause("checkout", NOON, at(60), "deployment")


async def test_a_pause_outlives_the_process(open_store: OpenStore) -> None:
    await Pauses(await open_store()).set_pause(DEPLOYMENT)

    assert await Pauses(await open_store()).list_active(at(1)) == {"checkout": DEPLOYMENT}


async def test_a_pause_ends_by_itself(store: Store) -> None:
    pauses = Pauses(store)
    await pauses.set_pause(DEPLOYMENT)

    assert "checkout" in await pauses.list_active(at(59.999))
    assert await pauses.list_active(at(60)) == {}


async def test_a_pause_without_an_end_holds_until_the_job_is_resumed(store: Store) -> None:
    pauses = Pauses(store)
    await pauses.set_pause(Pause("checkout", NOON))

    assert "checkout" in await pauses.list_active(at(10**8))
    await pauses.resume("checkout", at(10**8))
    assert await pauses.list_active(at(10**8)) == {}


async def test_a_job_is_paused_once_the_latest_time(store: Store) -> None:
    pauses = Pauses(store)
    await pauses.set_pause(DEPLOYMENT)
    await pauses.set_pause(Pause("checkout", at(1), None, "on holiday"))

    assert [pause.reason for pause in (await pauses.list_active(at(2), fresh=True)).values()] == ["on holiday"]


async def test_resuming_what_was_not_paused_changes_nothing(store: Store) -> None:
    await Pauses(store).resume("checkout", NOON)

    assert await Pauses(store).list_active(NOON) == {}


async def test_what_another_process_changed_is_observed_after_a_few_seconds(open_store: OpenStore) -> None:
    time = 0.0
    ours, other = Pauses(await open_store(), lambda: time), Pauses(await open_store())
    assert await ours.list_active(NOON) == {}
    await other.set_pause(DEPLOYMENT)

    assert await ours.list_active(NOON) == {}
    assert await ours.list_active(NOON, fresh=True) == {"checkout": DEPLOYMENT}
    await other.resume("checkout", NOON)
    time = READ_INTERVAL
    assert await ours.list_active(NOON) == {}


async def test_the_store_is_queried_once_in_a_few_seconds() -> None:
    store = MemoryStore()
    pauses = Pauses(store)

    for _ in range(100):
        await pauses.list_active(NOON)

    assert store.reads == 1


async def test_while_the_store_is_unavailable_what_was_known_continues(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    pauses = Pauses(store)
    await pauses.set_pause(DEPLOYMENT)
    store.breaks_after = 0

    with caplog.at_level(logging.WARNING):
        assert await pauses.list_active(NOON, fresh=True) == {"checkout": DEPLOYMENT}
    assert "the store is away" in caplog.text


async def test_a_pause_that_could_not_be_stored_does_not_hold() -> None:
    pauses = Pauses(MemoryStore(breaks_after=0))

    with pytest.raises(StoreUnavailable):
        await pauses.set_pause(DEPLOYMENT)
    assert await pauses.list_active(NOON) == {}


@pytest.mark.parametrize(
    ("pause", "text"),
    [
        (DEPLOYMENT, "paused until 2026-11-25 12:01:00Z: deployment"),
        (Pause("checkout", NOON), "paused until it is resumed"),
    ],
)
def test_a_pause_reports_until_when_and_why(pause: Pause, text: str) -> None:
    assert str(pause) == text


def test_of_the_instants_in_a_pause_those_before_each_caller_knows_and_one_more_are_planned() -> None:
    pause = Pause("checkout", at(0.5), at(3600))

    def planned(schedule: str) -> list[int]:
        parsed = parse_schedule(schedule)
        due = [at(second) for second in range(3602)]
        return [
            n
            for n, instant in enumerate(due)
            if parsed.next_after(at(n - 1)) == instant and not pause.excludes(parsed, instant)
        ]

    assert planned("every 1s") == [0, 1, 2, 3, 4, 5, 6, 7, 3600, 3601]
    assert planned("every 1m") == [0, 60, 3600]
