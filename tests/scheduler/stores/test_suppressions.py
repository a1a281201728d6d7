"""Silences and requested windows, on every store."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from jobs.incidents.suppression.windows import ExplicitSelector, MaintenanceWindow, RequestedWindow, Silence
from scheduler.stores.alerting.suppressions import (
    ARCHIVE_AFTER,
    StoredSuppressions,
    create_suppression_id,
)
from scheduler.stores.port import RowChanged, RowExists, Store
from scheduler.stores.repositories import Repositories
from scheduler.stores.rows import InvalidContinuation
from scheduler.stores.table import READ_INTERVAL
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import NOON, at

DAY = 86_400


def silence(seconds: float = 0, lasts: float = 3600) -> Silence:
    return Silence(
        id=create_suppression_id(at(seconds)),
        select=ExplicitSelector(tags={"team": ("payments", "web")}),
        starts_at=at(seconds),
        ends_at=at(seconds + lasts),
        author="api_key:ada",
        created_at=at(seconds),
        reason="release 42 — größer",
        limited_to=(("team", "web"),),
    )


def window(**keys: object) -> RequestedWindow:
    definition = {"name": "rollout", "for": "30m", "from": "2026-12-01T22:00", "select": {"all": True}, **keys}
    return RequestedWindow(
        id=create_suppression_id(NOON),
        window=MaintenanceWindow.model_validate(definition),
        author="pipeline",
        created_at=NOON,
    )


async def test_a_silence_outlives_the_process(open_store: OpenStore) -> None:
    stored = await Repositories(await open_store()).silences.insert(silence())

    other = Repositories(await open_store()).silences
    assert await other.list_current() == (stored.value,)
    assert await other.find(stored.value.id) == stored


async def test_a_window_of_each_form_is_read_as_it_was_written(store: Store) -> None:
    windows = Repositories(store).requested_windows
    written = [
        window(timezone="Europe/Berlin", effect="pause", change_id="CHG1"),
        window(**{"from": None, "schedule": {"cron": "0 0 2 * * SUN", "timezone": "Europe/Berlin"}}),
        window(**{"from": None, "for": None, "weekly": {"from": "FRIDAY 22:00", "to": "SUNDAY 17:00"}}),
        window(**{"from": None, "for": None, "calendar": [{"holidays": "DE"}]}),
    ]
    for each in written:
        await windows.insert(each)

    read = [stored.value for stored in await windows.list_unarchived()]
    assert sorted(read, key=lambda each: each.id) == sorted(written, key=lambda each: each.id)
    assert {each.periods for each in read} == {each.periods for each in written}


async def test_a_silence_is_replaced_and_deleted_only_as_it_was_read(store: Store) -> None:
    silences = Repositories(store).silences
    first = await silences.insert(silence())
    ended = Silence(**{**dict(first.value), "ends_at": at(10)})
    second = await silences.replace(first, ended)

    with pytest.raises(RowChanged):
        await silences.replace(first, first.value)
    with pytest.raises(RowChanged):
        await silences.delete(first)
    with pytest.raises(RowExists):
        await silences.insert(first.value)
    assert await silences.list_current() == (ended,)
    await silences.delete(second)
    assert await silences.list_current() == ()
    assert await silences.find(ended.id) is None


async def test_what_has_ended_is_moved_and_stays_readable(store: Store) -> None:
    silences = Repositories(store).silences
    over, current = await silences.insert(silence()), await silences.insert(silence(10, DAY))
    later = at(3600) + ARCHIVE_AFTER

    assert await silences.archive_ended(later - timedelta(seconds=1)) == 0
    assert await silences.archive_ended(later) == 1
    assert await silences.archive_ended(later) == 0
    assert [each.value for each in await silences.list_unarchived()] == [current.value]
    assert [each.value for each in (await silences.list_page(ended=True, limit=10)).found] == [over.value]
    found = await silences.find(over.value.id)
    assert found is not None
    assert found.value == over.value


async def test_the_newest_of_those_that_have_ended_come_first(store: Store) -> None:
    silences = Repositories(store).silences
    ids = [(await silences.insert(silence(number))).value.id for number in range(4)]
    assert await silences.list_newest_ended(3) == []
    await silences.archive_ended(at(DAY))

    for limit, found in ((2, [ids[3], ids[2]]), (4, ids[::-1]), (9, ids[::-1])):
        assert [each.value.id for each in await silences.list_newest_ended(limit)] == found


async def test_a_move_that_was_interrupted_is_repeated() -> None:
    store = MemoryStore()
    silences = Repositories(store).silences
    over = await silences.insert(silence())
    later = at(3600) + ARCHIVE_AFTER
    other = StoredSuppressions(store, Silence, "ended-silences")
    await other.insert(over.value)  # what a process left that ended after the first of the two writes

    assert await silences.archive_ended(later) == 1
    assert await silences.list_unarchived() == []
    assert len((await silences.list_page(ended=True, limit=10)).found) == 1


async def test_old_ones_are_deleted_in_the_end(store: Store) -> None:
    silences = Repositories(store).silences
    await silences.insert(silence())
    await silences.archive_ended(at(DAY))

    assert await silences.prune(at(3600 + 30 * DAY), 30 * DAY) == 0
    assert await silences.prune(at(3601 + 30 * DAY), 30 * DAY) == 1
    assert (await silences.list_page(ended=True, limit=10)).found == ()


async def test_a_window_that_recurs_is_moved_only_once_it_was_ended(store: Store) -> None:
    windows = Repositories(store).requested_windows
    stored = await windows.insert(window(**{"from": None, "schedule": {"every": "1d"}}))

    assert await windows.archive_ended(at(400 * DAY)) == 0
    await windows.replace(stored, RequestedWindow(**{**dict(stored.value), "ended_at": at(60)}))
    assert await windows.archive_ended(at(60) + ARCHIVE_AFTER) == 1


async def test_pages_follow_each_other(store: Store) -> None:
    silences = Repositories(store).silences
    ids = [(await silences.insert(silence(number))).value.id for number in range(5)]

    first = await silences.list_page(limit=3)
    assert first.continuation == ids[2]
    second = await silences.list_page(limit=3, after=first.continuation)
    assert [each.value.id for each in (*first.found, *second.found)] == ids
    assert second.continuation is None
    with pytest.raises(InvalidContinuation):
        await silences.list_page(limit=3, after="../x")
    assert await silences.find("../x") is None


async def test_a_change_of_another_process_is_read_after_the_interval(open_store: OpenStore) -> None:
    now = [0.0]
    mine = StoredSuppressions(await open_store(), Silence, "silences", lambda: now[0])
    assert await mine.list_current() == ()
    other = await Repositories(await open_store()).silences.insert(silence())

    assert await mine.list_current() == ()
    now[0] = READ_INTERVAL
    assert await mine.list_current() == (other.value,)


async def test_while_the_store_is_unavailable_what_was_read_stays_in_force(caplog: pytest.LogCaptureFixture) -> None:
    now, store = [0.0], MemoryStore()
    silences = StoredSuppressions(store, Silence, "silences", lambda: now[0])
    stored = await silences.insert(silence())
    assert await silences.list_current() == (stored.value,)
    store.breaks_after = 0
    now[0] = READ_INTERVAL

    with caplog.at_level(logging.WARNING):
        assert await silences.list_current() == (stored.value,)
    assert "those read before stay in force" in caplog.text
