"""The due-heap: every job's next due instant, and what of it falls due until an instant. Both hosts' ticks keep one.

A pass costs what falls due, not what exists, and little of that is Python's: jobs whose schedules are one and the same,
but for an offset or a jitter of their own, are a row that is asked once about each instant and handed on by the slice.
Rows wait in slots of a second, in no order; only the seconds are a heap.
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
"""An instant is whole milliseconds: the first one not before a moment is that of the moment and this, cut off."""
_MAX_SHIFT_SPREAD_MS = 60_000
"""Milliseconds that the shifts of one row are apart at most, so that few of its instants are under way together."""

DueInstant = tuple[int, str]
"""A due instant in milliseconds since the epoch, and the job."""


class DueInstants(NamedTuple):
    """What a pass found."""

    on_time: list[DueInstant]
    """In the order of the instants."""
    missed: list[DueInstant]
    """Of each job the first instant that lies before the window (see planning.catch_up)."""


class _ScheduleRow:
    """Jobs that are due whenever `schedule` is, each later by its shift."""

    __slots__ = ("begin", "jobs", "schedule", "shifts", "turn")

    def __init__(self, schedule: Schedule, begin: int, members: Iterable[tuple[int, str]]) -> None:
        """`members`: shift and job. Nothing before `begin`, or then, is due."""
        self.schedule = schedule
        self.begin = begin
        self.shifts, self.jobs = zip(*sorted(members), strict=True)
        self.turn = 0
        """Counts how often it began anew: what was under way before is void."""


_HeapItem = tuple[int, _ScheduleRow, int, int, int]
"""When it is due next; the row; the instant of its schedule; the first of its jobs that this is about; its turn."""
_instant_of = itemgetter(0)


class DueHeap:
    """Stands at `until`: everything up to then was given, and what follows is strictly later."""

    def __init__(
        self,
        schedules: Iterable[tuple[str, Schedule]],
        after: datetime,
        in_force_since: Mapping[str, datetime] | None = None,
    ) -> None:
        """Every job's first instant is the one strictly after `after`, and after its own in `in_force_since`."""
        self._schedules = dict(schedules)
        self._in_force_since = dict(in_force_since or {})
        self.position = after
        self._items_by_second: dict[int, list[_HeapItem]] = {}
        self._seconds: list[int] = []
        self._rows: list[_ScheduleRow] = []
        self._rebuild()

    @property
    def next_at(self) -> datetime | None:
        """The soonest due instant; None if nothing is ever due."""
        while self._seconds:
            slot = self._items_by_second[self._seconds[0]]
            soonest = min((at for at, row, _, _, turn in slot if turn == row.turn), default=None)
            if soonest is not None:
                return from_milliseconds(soonest)
            del self._items_by_second[heappop(self._seconds)]
        return None

    def pop_until(self, until: datetime, *, not_before: datetime) -> DueInstants:
        """Everything due up to and including `until`; each job moves on to its next instant.

        Of a job's instants before `not_before` only the first is given, as missed: after a long sleep a job of each
        second does not bring back an hour of instants.
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
        """Stand at another instant; what falls due on the way is not given. Back, it costs as much as a new heap.

        A schedule that came into force later than `now` came by a clock that was wrong: it is in force now.
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
        """These jobs have other schedules, each after its own in `since`; None: it is not planned any more.

        What of the new ones falls due up to where the heap stands is not given: see `between`.
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
        """What of these jobs falls due after this instant, up to where the heap stands."""
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
        """With all schedules, from where it stands."""
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
        """Let the row wait for what is due after this instant, and for nothing else."""
        row.turn += 1
        instant = row.schedule.next_after_ms(after - row.shifts[-1])
        # Of these instants some jobs had their turn already.
        while instant is not None and instant + row.shifts[0] <= after:
            self._enqueue(row, instant, bisect_right(row.shifts, after - instant))
            instant = row.schedule.next_after_ms(instant)
        if instant is not None:
            self._enqueue(row, instant, 0)

    def _pop_row(self, row: _ScheduleRow, instant: int, first: int, last: int) -> Iterable[DueInstant]:
        """Of one instant of the row's schedule what is due until `last`; the rest goes on waiting."""
        shifts, jobs = row.shifts, row.jobs
        if first == 0:
            self._enqueue_next(row, instant)
        stop = bisect_right(shifts, last - instant, first)
        if stop < len(shifts):
            self._enqueue(row, instant, stop)
        return zip([instant + shift for shift in shifts[first:stop]], jobs[first:stop], strict=True)

    def _enqueue_next(self, row: _ScheduleRow, instant: int) -> None:
        """Let the row wait for the instant of its schedule after this one, too."""
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
        """What waits for an instant up to and including `last`, in their order, and also what is added meanwhile."""
        left: list[_HeapItem] = []
        while self._seconds and self._seconds[0] * 1000 <= last:
            slot = self._items_by_second.pop(heappop(self._seconds))
            # Soonest first: what of a row is missed is to be known before any of it is on time.
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
    """Of each job of the row the first instant after `since`, if that lies before `before`."""
    asked, at = None, None
    for shift, job in zip(row.shifts, row.jobs, strict=True):
        if shift != asked:
            asked, at = shift, row.schedule.next_after_ms(since - shift)
        if at is not None and at + shift < before:
            yield at + shift, job
