"""The stored states of the entries of health documents, on every store."""

from __future__ import annotations

import pytest

from jobs.runs import Run
from jobs.runs.details import EntryStatus
from jobs.runs.health_history import HealthHistory
from jobs.runs.states import Cause, JobStatus, enter_state
from scheduler.changes.tracking import REREAD_INTERVAL, HealthTracker
from scheduler.stores.changes import HealthHistories, StateChanges
from scheduler.stores.port import RowChanged, RowExists, Store
from tests.jobs.runs.test_health_history import DOWN, NOON, UP, after, ended
from tests.scheduler.fakes import VirtualClock


async def states(histories: HealthHistories) -> dict[str, EntryStatus | None]:
    stored = await histories.read("checkout")
    return {} if stored is None else {each.entry.name: each.present.status for each in stored.history.entries}


async def test_a_history_comes_back_as_it_was(store: Store) -> None:
    histories = HealthHistories(store)
    history: HealthHistory = after(ended(0, db=UP, mq=UP), ended(1, db=DOWN), ended(2, db=UP))
    written = await histories.write(history, "")
    assert await histories.read("checkout") == written
    assert written.history == history
    assert await histories.read("other") is None


async def test_of_two_writers_one_writes(store: Store) -> None:
    histories = HealthHistories(store)
    first = await histories.write(after(ended(0, db=UP)), "")
    with pytest.raises(RowExists):
        await histories.write(after(ended(0, db=UP)), "")
    await histories.write(after(ended(1, db=DOWN)), first.etag)
    with pytest.raises(RowChanged):
        await histories.write(after(ended(2, db=UP)), first.etag)


async def test_a_run_that_changes_nothing_costs_no_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    histories = HealthHistories(store)
    tracker = HealthTracker(histories, VirtualClock(NOON))
    await tracker.record_run(ended(0, db=UP))
    monkeypatch.delattr(HealthHistories, "read")
    monkeypatch.delattr(HealthHistories, "write")
    await tracker.record_run(ended(1, db=UP))


async def test_a_change_that_another_process_has_recorded_is_not_lost(store: Store) -> None:
    histories, clock = HealthHistories(store), VirtualClock(NOON)
    here, elsewhere = HealthTracker(histories, clock), HealthTracker(histories, clock)
    await here.record_run(ended(0, db=UP))
    await elsewhere.record_run(ended(1, db=DOWN))
    await here.record_run(ended(2, db=UP))  # as far as this process knows, nothing has changed
    await clock.sleep(REREAD_INTERVAL)
    await here.record_run(ended(3, db=UP))
    assert await states(histories) == {"db": UP}


async def test_a_writer_that_is_late_reads_and_writes_again(store: Store) -> None:
    histories, clock = HealthHistories(store), VirtualClock(NOON)
    here, elsewhere = HealthTracker(histories, clock), HealthTracker(histories, clock)
    await here.record_run(ended(0, db=UP))
    await elsewhere.record_run(ended(1, db=UP, mq=UP))
    await here.record_run(ended(2, db=DOWN, mq=UP))
    assert await states(histories) == {"db": DOWN, "mq": UP}


async def test_a_repetition_after_a_crash_changes_nothing(store: Store) -> None:
    histories, clock = HealthHistories(store), VirtualClock(NOON)
    run: Run = ended(1, db=DOWN)
    await HealthTracker(histories, clock).record_run(run)
    before = await histories.read("checkout")
    await HealthTracker(histories, clock).record_run(run)
    assert await histories.read("checkout") == before


async def test_the_row_is_deleted_with_the_last_change_of_a_removed_job(store: Store) -> None:
    changes, histories = StateChanges(store), HealthHistories(store)
    await histories.write(after(ended(0, db=UP)), "")
    removed = enter_state(None, "checkout", JobStatus.REMOVED, NOON, Cause("job_removed"))
    assert removed is not None
    await changes.write(removed, "")
    await changes.prune(NOON.replace(year=2032), 86400.0)
    assert await histories.read("checkout") is None
