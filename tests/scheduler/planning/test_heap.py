"""The due-heap: what is due, once each, at a cost that grows with what is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from jobs.schedules import Schedule, parse_schedule
from scheduler.planning.heap import Due, DueHeap

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def schedules(**texts: str) -> list[tuple[str, Schedule]]:
    return [(name, parse_schedule(text)) for name, text in texts.items()]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def plan(jobs: list[tuple[str, Schedule]], after: datetime, until: datetime) -> list[Due]:
    """One pass over a new heap."""
    return DueHeap(jobs, after).pop_until(until, not_before=after)


def test_everything_due_comes_in_order_of_its_instants() -> None:
    due = plan(schedules(a="*/20 * * * * *", b="*/30 * * * * *"), START, at(60))

    assert due == [Due("a", at(20)), Due("b", at(30)), Due("a", at(40)), Due("a", at(60)), Due("b", at(60))]


def test_the_start_itself_is_not_due_and_the_end_is() -> None:
    assert plan(schedules(a="every 10s"), START, at(10)) == [Due("a", at(10))]


def test_a_schedule_that_is_never_due_is_not_in_the_heap() -> None:
    heap = DueHeap(schedules(never="0 0 0 30 2 *"), START)

    assert len(heap) == 0
    assert heap.next_at is None
    assert heap.pop_until(at(10**8), not_before=START) == []


def test_the_next_instant_is_the_soonest_of_all_jobs() -> None:
    assert DueHeap(schedules(a="every 1m", b="every 5s"), START).next_at == at(5)


def test_a_job_that_is_in_force_only_later_is_not_due_before() -> None:
    heap = DueHeap(schedules(a="every 10s", b="every 10s"), START, {"b": at(25), "a": at(-99)})

    assert heap.pop_until(at(30), not_before=START) == [
        Due("a", at(10)),
        Due("a", at(20)),
        Due("a", at(30)),
        Due("b", at(30)),
    ]


def test_after_a_long_sleep_a_job_is_missed_once_and_goes_on_with_the_present() -> None:
    heap = DueHeap(schedules(a="* * * * * *"), START)

    due = heap.pop_until(at(3600), not_before=at(3598))

    assert due == [Due("a", at(1), missed=True), Due("a", at(3598)), Due("a", at(3599)), Due("a", at(3600))]
    assert heap.next_at == at(3601)


class CountingSchedule:
    """Counts how often it is asked."""

    def __init__(self, inner: Schedule) -> None:
        self._inner = inner
        self.asked = 0
        self.text = inner.text

    def next_after(self, instant: datetime) -> datetime | None:
        self.asked += 1
        return self._inner.next_after(instant)


def test_a_pass_asks_only_the_schedules_that_are_due() -> None:
    idle = [CountingSchedule(parse_schedule("0 0 0 1 1 *")) for _ in range(100)]
    named = [(f"idle-{number}", schedule) for number, schedule in enumerate(idle)]
    heap = DueHeap([*named, *schedules(busy="every 1s")], START)  # type: ignore[list-item]  # the part of a schedule that the heap uses
    asked_to_begin = sum(schedule.asked for schedule in idle)

    for second in range(1, 50):
        heap.pop_until(at(second), not_before=at(second - 10))

    assert sum(schedule.asked for schedule in idle) == asked_to_begin == 100


@given(
    every=st.lists(st.integers(1, 90), min_size=1, max_size=8),
    steps=st.lists(st.integers(1, 120), min_size=1, max_size=20),
)
def test_however_time_is_cut_into_passes_every_instant_comes_exactly_once(every: list[int], steps: list[int]) -> None:
    jobs = [(f"j{number}", parse_schedule(f"every {seconds}s")) for number, seconds in enumerate(every)]
    heap = DueHeap(jobs, START)
    now = START
    found: list[Due] = []
    for step in steps:
        now += timedelta(seconds=step)
        found += heap.pop_until(now, not_before=START)

    assert sorted(found, key=lambda due: (due.at, due.job)) == found
    assert found == plan(jobs, START, now)
    expected = {
        (name, START + timedelta(seconds=second))
        for (name, _), seconds in zip(jobs, every, strict=True)
        for second in range(1, sum(steps) + 1)
        if (int(START.timestamp()) + second) % seconds == 0
    }
    assert {(due.job, due.at) for due in found} == expected
