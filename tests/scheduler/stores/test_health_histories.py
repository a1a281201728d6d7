"""The stored states of the entries of health documents, on every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.redaction import Redactor
from jobs.runs import Run
from jobs.runs.details import Details, EntryEffect, EntryStatus, HealthDetail, ReportedEntry
from jobs.runs.health_history import HealthHistory, update_history
from jobs.runs.states import Cause, JobStatus, enter_state
from scheduler.changes.tracking import REREAD_INTERVAL, HealthTracker
from scheduler.stores.changes import HealthHistories, StateChanges
from scheduler.stores.port import RowChanged, RowExists, Store, StoreUnavailable
from scheduler.stores.rows import decode_json
from tests.jobs.runs.test_health_history import DOWN, NOON, UP, after, ended
from tests.scheduler.fakes import VirtualClock, entry


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


async def test_a_thousand_entries_have_their_states_after_a_restart(store: Store) -> None:
    histories, clock = HealthHistories(store), VirtualClock(NOON)
    names = [f"queue-{number}" for number in range(1000)]
    tracker = HealthTracker(histories, clock)
    await tracker.record_run(ended(0, **dict.fromkeys(names, UP)))
    await tracker.record_run(ended(1, **{**dict.fromkeys(names, UP), "queue-900": DOWN}))
    restarted = HealthTracker(histories, clock)
    await restarted.record_run(ended(2, **{**dict.fromkeys(names[:-1], UP), "queue-900": DOWN}))
    stored = await histories.read("checkout")
    assert stored is not None
    found = {each.entry.name: each for each in stored.history.entries}
    assert len(found) == 1000
    assert (found["queue-900"].present.status, len(found["queue-900"].changes)) == (DOWN, 2)
    assert found["queue-999"].present.status is None
    assert found["queue-500"].present.at == NOON


async def test_an_older_program_finds_the_first_entries_in_their_old_form(store: Store) -> None:
    await HealthHistories(store).write(after(ended(0, **{f"e{number}": UP for number in range(150)})), "")
    row = await store.get_row("changes", "all", "h~checkout")
    assert row is not None
    assert {len(parts) for parts in decode_json(row.body)["entries"]} == {8}
    assert len(decode_json(row.body)["entries"]) == 100


async def test_a_thousand_hostile_entries_fit_into_a_row(store: Store) -> None:
    def hostile(number: int) -> ReportedEntry:
        text = '"' * 100
        name = f"{number:04}" + chr(0x1F600 + number % 50) * 90
        return ReportedEntry(name, DOWN, text, text * 2, observed=text, effect=EntryEffect.DOWN)

    histories, run = HealthHistories(store), ended(0, db=UP)
    entries = tuple(map(hostile, range(1000)))
    details = Details(health=HealthDetail("down", DOWN, entries[:50], 1000, entries[50:]))
    history = update_history(None, replace(run, attempts=(replace(run.attempts[0], details=details),)))
    assert history is not None
    await histories.write(history, "")
    stored = await histories.read("checkout")
    assert stored is not None
    assert [each.entry.name for each in stored.history.entries] == [each.name for each in entries]


async def test_a_long_document_that_changes_nothing_writes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = {f"queue-{number}": UP for number in range(1000)}
    tracker = HealthTracker(HealthHistories(store), VirtualClock(NOON))
    await tracker.record_run(ended(0, **statuses))
    monkeypatch.delattr(HealthHistories, "write")
    for minute in range(1, 5):
        await tracker.record_run(ended(minute, **statuses))


JOB = entry(expect=[{"health": "auto"}]).job


async def test_a_run_names_what_is_missing_without_secrets(store: Store) -> None:
    redactor = Redactor()
    tracker = HealthTracker(HealthHistories(store), VirtualClock(NOON), redactor.redact)
    await tracker.record_run(ended(0, **{"s3cret-queue": DOWN, "mq": UP}))
    redactor.add_permanent("s3cret-queue")
    run = replace(ended(1, mq=UP), message="Slow.")
    assert (await tracker.name_missing(run, JOB)).message == "Slow. No longer reported: *** (was down)."


@pytest.mark.parametrize("count", [None, 2])
async def test_a_run_that_lacks_nothing_or_was_shortened_is_unchanged(store: Store, count: int | None) -> None:
    tracker = HealthTracker(HealthHistories(store), VirtualClock(NOON))
    await tracker.record_run(ended(0, db=UP, mq=UP))
    run = ended(1, count, mq=DOWN, **({} if count else {"db": UP}))
    assert await tracker.name_missing(run, JOB) is run


async def test_without_a_store_a_run_is_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnavailable("the file is locked")

    monkeypatch.setattr(HealthHistories, "read", fail)
    run = ended(1, mq=UP)
    assert await HealthTracker(HealthHistories(store), VirtualClock(NOON)).name_missing(run, JOB) is run
