"""The due-heap: what is due, once each, at a cost that grows with what is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobs.schedules import Schedule, bind_to_job, parse_schedule, split_shift, to_milliseconds
from scheduler.planning.due_heap import DueHeap, DueInstant

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def schedules(**specs: object) -> list[tuple[str, Schedule]]:
    return [(name, parse_schedule(spec)) for name, spec in specs.items()]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def reported(found: list[DueInstant]) -> list[tuple[float, str]]:
    """(seconds after the start, job) of each."""
    begin = to_milliseconds(START)
    return [((instant - begin) / 1000, job) for instant, job in found]


def passed(heap: DueHeap, until: datetime) -> list[tuple[float, str]]:
    """What a pass that misses nothing finds."""
    due = heap.pop_until(until, not_before=START)
    assert due.missed == []
    return reported(due.on_time)


def test_everything_due_comes_in_order_of_its_instants() -> None:
    heap = DueHeap(schedules(a="*/20 * * * * *", b="30 * * * * *"), START)

    assert passed(heap, at(60)) == [(20, "a"), (30, "b"), (40, "a"), (60, "a")]


def test_jobs_at_a_month_end_are_found_with_their_jitter() -> None:
    form = {"monthly": {"day": "last-tuesday", "at": ["12:01", "12:02"]}}
    spread = bind_to_job(parse_schedule({**form, "jitter": "1m"}), "b")
    shift = split_shift(spread)[1] / 1000
    start = START.replace(day=31)
    heap = DueHeap([*schedules(a=form), ("b", spread)], start)

    found = heap.pop_until(start + timedelta(minutes=5), not_before=start).on_time

    begin = to_milliseconds(start)
    assert [((instant - begin) / 1000, job) for instant, job in found] == sorted(
        [(60, "a"), (60 + shift, "b"), (120, "a"), (120 + shift, "b")]
    )


def test_several_instants_in_one_second_come_in_order_too() -> None:
    heap = DueHeap(schedules(a="every 300ms", b={"every": "1s", "offset": "500ms"}), at(0.1))

    assert passed(heap, at(1)) == [(0.3, "a"), (0.5, "b"), (0.6, "a"), (0.9, "a")]
    assert passed(heap, at(1.2)) == [(1.2, "a")]


def test_the_start_itself_is_not_due_and_the_end_is() -> None:
    assert passed(DueHeap(schedules(a="every 10s"), START), at(10)) == [(10, "a")]


def test_a_pass_that_ends_within_a_second_leaves_the_rest_of_it_to_the_next_one() -> None:
    heap = DueHeap(schedules(a={"every": "10s", "offset": "200ms"}, b={"every": "10s", "offset": "700ms"}), START)

    assert passed(heap, at(0.5)) == [(0.2, "a")]
    assert heap.next_at == at(0.7)
    assert passed(heap, at(10.5)) == [(0.7, "b"), (10.2, "a")]


def test_a_schedule_that_is_never_due_is_not_in_the_heap() -> None:
    heap = DueHeap(schedules(never="0 0 0 30 2 *"), START)

    assert heap.next_at is None
    assert passed(heap, at(10**8)) == []


def test_the_next_instant_is_the_soonest_of_all_jobs() -> None:
    assert DueHeap(schedules(a="every 1m", b="every 5s"), START).next_at == at(5)


def test_a_job_that_is_in_force_only_later_is_not_due_before() -> None:
    heap = DueHeap(schedules(a="every 10s", b="every 10s"), START, {"b": at(25), "a": at(-99)})

    assert sorted(passed(heap, at(30))) == [(10, "a"), (20, "a"), (30, "a"), (30, "b")]


def test_after_a_long_sleep_a_job_is_missed_once_and_continues_with_the_present() -> None:
    heap = DueHeap(schedules(a="* * * * * *"), START)

    due = heap.pop_until(at(3600), not_before=at(3598))

    assert reported(due.missed) == [(1, "a")]
    assert reported(due.on_time) == [(3598, "a"), (3599, "a"), (3600, "a")]
    assert heap.next_at == at(3601)


def test_a_heap_that_is_moved_on_gives_nothing_of_what_lies_between() -> None:
    heap = DueHeap(schedules(a="every 10s", b="every 45s"), START)

    heap.move_to(at(40), at(40))

    assert heap.position == at(40)
    assert passed(heap, at(50)) == [(45, "b"), (50, "a")]


def test_a_heap_that_is_moved_back_gives_again_what_follows() -> None:
    heap = DueHeap(schedules(a="every 10s"), START)
    heap.pop_until(at(30), not_before=START)

    heap.move_to(at(15), at(15))

    assert passed(heap, at(30)) == [(20, "a"), (30, "a")]


def test_a_schedule_that_was_made_while_the_clock_was_ahead_is_due_once_it_is_put_back() -> None:
    heap = DueHeap(schedules(a="every 10s"), at(3600), {"a": at(3600)})

    heap.move_to(START, at(5))

    assert passed(heap, at(10)) == [(10, "a")]


class CountingSchedule:
    """Counts how often it is asked."""

    def __init__(self, inner: Schedule) -> None:
        self._inner = inner
        self.asked = 0

    def next_after_ms(self, milliseconds: int) -> int | None:
        self.asked += 1
        return self._inner.next_after_ms(milliseconds)


def counting(text: str) -> Any:
    return CountingSchedule(parse_schedule(text))


def test_a_pass_requests_only_the_schedules_that_are_due() -> None:
    idle = [counting("0 0 0 1 1 *") for _ in range(100)]
    named = [(f"idle-{number}", schedule) for number, schedule in enumerate(idle)]
    heap = DueHeap([*named, *schedules(busy="every 1s")], START)
    asked_to_begin = sum(schedule.asked for schedule in idle)

    for second in range(1, 50):
        heap.pop_until(at(second), not_before=at(second - 10))

    assert sum(schedule.asked for schedule in idle) == asked_to_begin == 100


def test_jobs_that_share_a_schedule_are_one_question() -> None:
    schedule = counting("0 * * * * *")
    heap = DueHeap([(f"j{number}", schedule) for number in range(100)], START)

    assert len(passed(heap, at(60))) == 100
    assert schedule.asked == 2


@given(
    every=st.lists(st.integers(1, 9000), min_size=1, max_size=8),
    steps=st.lists(st.integers(1, 30_000), min_size=1, max_size=20),
)
def test_however_time_is_cut_into_passes_every_instant_comes_exactly_once(every: list[int], steps: list[int]) -> None:
    jobs = [(f"j{number}", parse_schedule(f"every {100 + distance}ms")) for number, distance in enumerate(every)]
    heap = DueHeap(jobs, START)
    now = 0
    found: list[tuple[float, str]] = []
    for step in steps:
        now += step
        found += passed(heap, at(now / 1000))

    assert [instant for instant, _ in found] == sorted(instant for instant, _ in found)
    begin = to_milliseconds(START)
    expected = [
        (millisecond / 1000, name)
        for (name, _), distance in zip(jobs, every, strict=True)
        for millisecond in range(-begin % (100 + distance), now + 1, 100 + distance)
        if millisecond > 0
    ]
    assert sorted(found) == sorted(expected)
