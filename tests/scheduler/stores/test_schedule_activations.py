"""Since when a job has its schedule, on every store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.schedules import Schedule, parse_schedule
from scheduler.stores.port import Row, Store
from scheduler.stores.schedules import SCHEDULES_TABLE, ScheduleActivations

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = START + timedelta(hours=1)


def schedules(**texts: str) -> list[tuple[str, Schedule]]:
    return [(name, parse_schedule(text)) for name, text in texts.items()]


async def test_a_new_schedule_is_in_force_from_now_on(store: Store) -> None:
    assert await ScheduleActivations(store).record_all(schedules(a="every 10s"), START) == {"a": START}


async def test_a_schedule_that_stays_retains_its_beginning(store: Store) -> None:
    marks = ScheduleActivations(store)
    await marks.record_all(schedules(a="every 10s"), START)

    assert await marks.record_all(schedules(a="every 10s"), LATER) == {"a": START}


async def test_a_changed_schedule_begins_anew_and_leaves_the_others_alone(store: Store) -> None:
    marks = ScheduleActivations(store)
    await marks.record_all(schedules(a="every 10s", b="0 * * * * *"), START)

    assert await marks.record_all(schedules(a="every 20s", b="0 * * * * *"), LATER) == {"a": LATER, "b": START}


async def test_a_schedule_that_was_gone_begins_anew_when_it_comes_back(store: Store) -> None:
    marks = ScheduleActivations(store)
    await marks.record_all(schedules(a="every 10s"), START)
    await marks.record_all([], START)

    assert await marks.record_all(schedules(a="every 10s"), LATER) == {"a": LATER}


async def test_a_mark_by_a_clock_that_was_ahead_counts_from_now_on(store: Store) -> None:
    marks = ScheduleActivations(store)
    await marks.record_all(schedules(a="every 10s"), LATER)

    assert await marks.record_all(schedules(a="every 10s"), START) == {"a": START}


async def test_many_schedules_are_remembered_over_several_pages(store: Store) -> None:
    many = [(f"job-{number}", parse_schedule("every 10s")) for number in range(1050)]
    await ScheduleActivations(store).record_all(many, START)

    since = await ScheduleActivations(store).record_all(many, LATER)

    assert set(since.values()) == {START}
    assert len(since) == 1050


async def test_of_two_instances_that_note_a_new_schedule_the_first_one_counts(store: Store) -> None:
    look = store.list_rows

    async def looked_at_while_another_one_notes(*args: Any, **more: Any) -> Sequence[Row]:
        rows = await look(*args, **more)
        store.list_rows = look  # type: ignore[method-assign]  # once
        await ScheduleActivations(store).record_all(schedules(a="every 10s"), START)
        return rows

    store.list_rows = looked_at_while_another_one_notes  # type: ignore[method-assign]  # the other one comes in between
    since = await ScheduleActivations(store).record_all(schedules(a="every 10s"), LATER)

    assert since == {"a": START}


async def test_a_change_touches_the_jobs_that_it_names_alone(store: Store) -> None:
    marks = ScheduleActivations(store)
    await marks.record_all(schedules(a="every 10s", b="every 10s", c="every 10s"), START)
    changed = {"a": parse_schedule("every 20s"), "b": None, "d": parse_schedule("every 5s"), "e": None}

    assert await marks.record_changes(changed, LATER) == {"a": LATER, "d": LATER}
    assert await marks.record_changes(changed, LATER + timedelta(hours=1)) == {"a": LATER, "d": LATER}
    all_of_them = schedules(a="every 20s", b="every 10s", c="every 10s", d="every 5s")
    later = LATER + timedelta(hours=2)
    assert await marks.record_all(all_of_them, later) == {"a": LATER, "b": later, "c": START, "d": LATER}


async def test_a_change_of_many_jobs_is_remembered(store: Store) -> None:
    marks = ScheduleActivations(store)
    many = {f"job-{number}": parse_schedule("every 10s") for number in range(120)}

    assert set((await marks.record_changes(many, START)).values()) == {START}
    assert set((await marks.record_changes(many, LATER)).values()) == {START}


async def first_of(store: Store, *notes: tuple[list[tuple[str, Schedule]], datetime]) -> datetime | None:
    """The beginning of job a's first version, after these notes."""
    marks = ScheduleActivations(store)
    for activity, now in notes:
        await marks.record_all(activity, now)
    return await marks.find_first("a")


async def test_a_job_that_was_never_recorded_has_no_first_version(store: Store) -> None:
    assert await first_of(store) is None


async def test_the_first_version_of_a_job_begins_with_its_first_schedule(store: Store) -> None:
    assert await first_of(store, (schedules(a="every 10s"), START)) == START


async def test_the_first_version_stays_when_the_schedule_changes(store: Store) -> None:
    notes = [(schedules(a=f"every {seconds}s"), START + timedelta(hours=seconds)) for seconds in (1, 2, 3)]
    assert await first_of(store, *notes) == START + timedelta(hours=1)
    assert await ScheduleActivations(store).find_since("a") == START + timedelta(hours=3)


async def test_the_first_version_stays_while_a_job_is_disabled_and_when_it_comes_back(store: Store) -> None:
    marks = ScheduleActivations(store)
    assert await first_of(store, (schedules(a="every 10s"), START), ([], LATER)) == START
    assert await marks.find_since("a") is None
    await marks.record_changes({"a": None}, LATER)
    await marks.record_changes(dict(schedules(a="every 10s")), LATER)
    assert (await marks.find_since("a"), await marks.find_first("a")) == (LATER, START)


async def test_a_job_that_was_disabled_twice_is_forgotten_at_no_cost(store: Store) -> None:
    marks = ScheduleActivations(store)
    await marks.record_all(schedules(a="every 10s"), START)
    assert await marks.record_all([], LATER) == {}
    row = await store.get_row(SCHEDULES_TABLE, "all", "a")
    assert await marks.record_all([], LATER) == {}
    assert await store.get_row(SCHEDULES_TABLE, "all", "a") == row


async def test_a_first_version_by_a_clock_that_was_ahead_begins_with_the_next_one(store: Store) -> None:
    assert await first_of(store, (schedules(a="every 1s"), LATER), (schedules(a="every 2s"), START)) == START
