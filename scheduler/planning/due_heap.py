"""The due-heap: the next due instant of every job. The ticks of both hosts hold one.

A pass costs what is due, not what exists. Jobs with equal schedules, apart from an offset or a jitter of each job, form
one row: its schedule is evaluated once an instant, and its jobs are returned by slices. Rows wait in slots of a second,
unordered; only the seconds are a heap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, KeysView, Mapping
from datetime import datetime, timedelta
from heapq import heappop, heappush
from operator import itemgetter
from typing import NamedTuple

from jobs.schedules import Schedule, from_milliseconds, split_shift, to_milliseconds

_ROUND_UP = timedelta(microseconds=999)
"""Instants are whole milliseconds: add this to a moment and truncate, to round it up."""
_MAX_SHIFT_SPREAD_MS = 60_000
"""Milliseconds between the shifts of one row at most, so that few of its instants overlap."""

DueInstant = tuple[int, str]
"""A due instant in milliseconds since the epoch, and the job."""


class DueInstants(NamedTuple):
    """The instants of a pass."""

    on_time: list[DueInstant]
    """Ordered by instant."""
    missed: list[DueInstant]
    """The first missed instant of each job (see scheduler.planning.plan)."""


class _ScheduleRow:
    """Jobs that are due when `schedule` is, each later by its shift."""

    # perf: planner, 6 % of the heap of 100,000 distinct schedules
    __slots__ = ("begin", "jobs", "schedule", "shifts", "turn")

    def __init__(self, schedule: Schedule, begin: int, members: Iterable[tuple[int, str]]) -> None:
        """`members`: shift and job. `begin`: only later instants are due."""
        self.schedule = schedule
        self.begin = begin
        self.shifts, self.jobs = zip(*sorted(members), strict=True)
        self.turn = 0
        """Number of restarts: items of an earlier turn are void."""


_HeapItem = tuple[int, _ScheduleRow, int, int, int]
"""The next due instant, the row, the instant of its schedule, the index of the first job concerned, and the turn."""
_instant_of = itemgetter(0)


class DueHeap:
    """All instants up to `position` were returned; the next ones are strictly later."""

    def __init__(
        self,
        schedules: Iterable[tuple[str, Schedule]],
        after: datetime,
        in_force_since: Mapping[str, datetime] | None = None,
    ) -> None:
        """Start each job strictly after `after`, and after its instant in `in_force_since`."""
        self._schedules = dict(schedules)
        self._in_force_since = dict(in_force_since or {})
        self.position = after
        self._items_by_second: dict[int, list[_HeapItem]] = {}
        self._seconds: list[int] = []
        self._rows: list[_ScheduleRow] = []
        self._rebuild()

    @property
    def next_at(self) -> datetime | None:
        """The next due instant; None: no job is ever due."""
        while self._seconds:
            slot = self._items_by_second[self._seconds[0]]
            soonest = min((at for at, row, _, _, turn in slot if turn == row.turn), default=None)
            if soonest is not None:
                return from_milliseconds(soonest)
            del self._items_by_second[heappop(self._seconds)]
        return None

    def pop_until(self, until: datetime, *, not_before: datetime) -> DueInstants:
        """Return all instants up to and including `until`, and move to the next ones.

        Of a job's instants before `not_before` only the first is returned, as missed: after a long pause, a job of each
        second does not return an hour of instants.
        """
        due = DueInstants([], [])
        since, last = to_milliseconds(self.position), to_milliseconds(until)
        on_time_from = to_milliseconds(not_before + _ROUND_UP)
        self.position = max(self.position, until)
        for at, row, instant, first in self._pop_items(last):
            if at < on_time_from:
                due.missed.extend(_first_missed(row, max(since, row.begin), on_time_from))
                self._enqueue_from(row, on_time_from - 1)
            elif len(row.jobs) == 1:
                due.on_time.append((at, row.jobs[0]))
                self._enqueue_next(row, instant)
            else:
                due.on_time.extend(self._pop_row(row, instant, first, last))
        due.on_time.sort(key=_instant_of)
        return due

    def move_to(self, until: datetime, now: datetime) -> None:
        """Move to another instant without returning instants. Moving back costs as much as a new heap.

        A schedule in force later than `now` comes from a wrong clock: it is in force now.
        """
        if until > self.position:
            self.position = until
            last = to_milliseconds(until)
            for _, row, _, _ in self._pop_items(last):
                self._enqueue_from(row, last)
        elif until < self.position:
            self.position = until
            self._in_force_since = {job: min(since, now) for job, since in self._in_force_since.items()}
            self._rebuild()

    def replace_schedules(self, schedules: Mapping[str, Schedule | None], since: Mapping[str, datetime]) -> None:
        """Replace the schedules of these jobs, each in force since its instant in `since`; None: no longer planned.

        Instants of new schedules up to the current position are not returned: see `due_after`.
        """
        self._remove(schedules.keys())
        planned = {job: schedule for job, schedule in schedules.items() if schedule is not None}
        for job in schedules:
            self._schedules.pop(job, None)
            self._in_force_since.pop(job, None)
        self._schedules |= planned
        self._in_force_since |= {job: since[job] for job in planned if job in since}
        self._add_rows(planned)

    def due_after(self, jobs: Iterable[str], after: datetime) -> list[DueInstant]:
        """Return the instants of these jobs after `after`, up to the current position."""
        first, last = to_milliseconds(after), to_milliseconds(self.position)
        found: list[DueInstant] = []
        for job in jobs:
            schedule = self._schedules.get(job)
            at = None if schedule is None else schedule.next_after_ms(first)
            while schedule is not None and at is not None and at <= last:
                found.append((at, job))
                at = schedule.next_after_ms(at)
        return found

    def _remove(self, jobs: KeysView[str]) -> None:
        rows: list[_ScheduleRow] = []
        for row in self._rows:
            if len(row.jobs) == 1 and row.jobs[0] in jobs:  # perf: 10,000 of them take 3 ms instead of 15
                row.turn += 1
                continue
            if jobs.isdisjoint(row.jobs):
                rows.append(row)
                continue
            row.turn += 1
            left = [(shift, job) for shift, job in zip(row.shifts, row.jobs, strict=True) if job not in jobs]
            if left:
                row = _ScheduleRow(row.schedule, row.begin, left)
                self._enqueue_from(row, max(to_milliseconds(self.position), row.begin))
                rows.append(row)
        self._rows = rows

    def _rebuild(self) -> None:
        """Add the rows of all schedules, from the current position."""
        self._items_by_second.clear()
        self._seconds.clear()
        self._rows.clear()
        self._add_rows(self._schedules)

    def _add_rows(self, schedules: Mapping[str, Schedule]) -> None:
        stand = to_milliseconds(self.position)
        alike: defaultdict[tuple[Schedule, int, int], list[tuple[int, str]]] = defaultdict(list)
        for job, schedule in schedules.items():
            since = self._in_force_since.get(job)
            begin = stand if since is None else max(stand, to_milliseconds(since))
            shared, shift = split_shift(schedule)
            alike[shared, begin, shift // _MAX_SHIFT_SPREAD_MS].append((shift, job))
        for (shared, begin, _), members in alike.items():
            row = _ScheduleRow(shared, begin, members)
            self._rows.append(row)
            self._enqueue_from(row, begin)

    def _enqueue_from(self, row: _ScheduleRow, after: int) -> None:
        """Restart the row: enqueue its instants after `after` only."""
        row.turn += 1
        instant = row.schedule.next_after_ms(after - row.shifts[-1])
        # Some jobs of these instants were returned already.
        while instant is not None and instant + row.shifts[0] <= after:
            self._enqueue(row, instant, bisect_right(row.shifts, after - instant))
            instant = row.schedule.next_after_ms(instant)
        if instant is not None:
            self._enqueue(row, instant, 0)

    def _pop_row(self, row: _ScheduleRow, instant: int, first: int, last: int) -> Iterable[DueInstant]:
        """Return the jobs of one instant of the row's schedule that are due until `last`; enqueue the rest."""
        shifts, jobs = row.shifts, row.jobs
        if first == 0:
            self._enqueue_next(row, instant)
        stop = bisect_right(shifts, last - instant, first)
        if stop < len(shifts):
            self._enqueue(row, instant, stop)
        return zip([instant + shift for shift in shifts[first:stop]], jobs[first:stop], strict=True)

    def _enqueue_next(self, row: _ScheduleRow, instant: int) -> None:
        """Enqueue the next instant of the row's schedule after `instant`."""
        following = row.schedule.next_after_ms(instant)
        if following is not None:
            self._enqueue(row, following, 0)

    def _enqueue(self, row: _ScheduleRow, instant: int, first: int) -> None:
        at = instant + row.shifts[first]
        second = at // 1000
        slot = self._items_by_second.get(second)
        if slot is None:
            self._items_by_second[second] = [(at, row, instant, first, row.turn)]
            heappush(self._seconds, second)
        else:
            slot.append((at, row, instant, first, row.turn))

    def _pop_items(self, last: int) -> Iterator[tuple[int, _ScheduleRow, int, int]]:
        """Yield the items up to and including `last` in order, including items that are added meanwhile."""
        left: list[_HeapItem] = []
        while self._seconds and self._seconds[0] * 1000 <= last:
            slot = self._items_by_second.pop(heappop(self._seconds))
            # Earliest first: the missed instants of a row are found before those on time.
            slot.sort(key=_instant_of)
            for waiting in slot:
                at, row, instant, first, turn = waiting
                if turn != row.turn:
                    continue
                if at > last:
                    left.append(waiting)
                else:
                    yield at, row, instant, first
        for _, row, instant, first, _ in left:
            self._enqueue(row, instant, first)


def _first_missed(row: _ScheduleRow, since: int, before: int) -> Iterator[DueInstant]:
    """Yield the first instant after `since` of each job of the row, if it is before `before`."""
    last_shift, at = None, None
    for shift, job in zip(row.shifts, row.jobs, strict=True):
        if shift != last_shift:
            last_shift, at = shift, row.schedule.next_after_ms(since - shift)
        if at is not None and at + shift < before:
            yield at + shift, job
