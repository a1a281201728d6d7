"""The cache of alerts: conflicts with other processes, refreshes during writes, failures of the store."""

from __future__ import annotations

import asyncio

import pytest

from jobs.alerting.alert import Alert, AlertStatus, Verdict, advance
from jobs.incidents.values import AlertKey
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.stores.alerting.engine import AlertRows, StoredAlert
from scheduler.stores.port import RowChanged, StoreError, StoreUnavailable
from tests.scheduler.alerting.engine_world import InterleavedStore
from tests.scheduler.fakes import START, VirtualClock
from tests.scheduler.stores.memory import MemoryData

KEY, OTHER = AlertKey("checkout", "failed"), AlertKey("search", "failed")


def fire(alert: Alert) -> Alert:
    return advance(alert, Verdict(True, "1 run failed"), START)


def end(alert: Alert) -> Alert:
    return advance(alert, Verdict(False), START)


class Caches:
    def __init__(self) -> None:
        self.data, self.clock = MemoryData(), VirtualClock(START)
        self.store = InterleavedStore(self.data)
        self.mine, self.other = self.open(self.store), self.open(InterleavedStore(self.data))

    def open(self, store: InterleavedStore) -> KnownAlerts:
        return KnownAlerts(AlertRows(store), self.clock)


async def test_a_decision_is_made_again_by_what_another_process_has_stored() -> None:
    caches, reads = Caches(), []

    async def read_again() -> None:
        reads.append("again")

    await caches.other.change(KEY, fire)
    assert await caches.mine.change(KEY, fire, read_again) is None
    assert caches.mine.find(KEY).is_firing
    assert reads == ["again"]


async def test_an_alert_that_the_engine_has_deleted_fires_as_a_new_one() -> None:
    caches = Caches()
    await caches.mine.change(KEY, fire)
    await caches.mine.change(KEY, end)
    assert caches.mine.find(KEY).status is AlertStatus.RESOLVED
    caches.data.rows.clear()
    changed = await caches.mine.change(KEY, fire)
    assert changed is not None
    assert changed.number == 1


async def test_a_write_during_a_refresh_is_not_forgotten() -> None:
    caches = Caches()
    await asyncio.gather(caches.mine.refresh(), caches.mine.change(KEY, fire), caches.mine.refresh())
    assert caches.mine.has_any("checkout")
    assert caches.mine.find(KEY).is_firing


async def test_concurrent_refreshes_read_once() -> None:
    caches = Caches()
    await asyncio.gather(*(caches.mine.refresh(5.0) for _ in range(5)))
    assert caches.store.reads == 1


async def test_it_forgets_what_another_process_has_ended() -> None:
    caches = Caches()
    await caches.other.change(KEY, fire)
    await caches.other.change(OTHER, fire)
    await caches.mine.refresh()
    caches.data.rows.clear()
    await caches.mine.refresh_subject("checkout")
    assert not caches.mine.has_any("checkout")
    assert caches.mine.has_any("search")
    await caches.mine.refresh()
    assert not list(caches.mine.list_all())


async def test_before_the_first_read_any_subject_may_have_an_alert() -> None:
    caches = Caches()
    assert caches.mine.has_any("checkout")
    await caches.mine.refresh()
    assert not caches.mine.has_any("checkout")


async def test_after_a_failed_write_the_alerts_are_read_again() -> None:
    caches = Caches()
    await caches.mine.refresh()
    caches.store.breaks_after = 0
    with pytest.raises(StoreUnavailable):
        await caches.mine.change(KEY, fire)
    caches.store.breaks_after = None
    await caches.other.change(KEY, fire)
    await caches.mine.refresh(float("inf"))
    assert caches.mine.find(KEY).is_firing


async def test_without_an_end_of_conflicts_it_gives_up() -> None:
    caches = Caches()
    rows = AlertRows(caches.store)

    async def write(alert: Alert, etag: str) -> StoredAlert:
        raise RowChanged("alerting", "all", alert.subject)

    rows.write = write  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="10 times"):
        await KnownAlerts(rows, caches.clock).change(KEY, fire)
