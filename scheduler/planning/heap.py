"""The due-heap: every job's next due instant, and what of it falls due until an instant. Both hosts' ticks keep one.

A pass costs what falls due, not what exists: jobs that share a schedule are one group, asked once; groups wait in slots
of a second, in no order; only the seconds are a heap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from heapq import heappop, heappush
from operator import itemgetter
from typing import NamedTuple

from jobs.schedules import Schedule, distance_of, from_milliseconds, to_milliseconds

_MOMENT = timedelta(microseconds=1)
_ALMOST = timedelta(microseconds=999)
"""An instant is whole milliseconds: the first one not before a moment is that of the moment and this, cut off."""
_instant = itemgetter(0)


class Group:
    """Jobs that are due at the same instants, always."""

    __slots__ = ("distance", "jobs", "schedule")

    def __init__(self, schedule: Schedule, jobs: tuple[str, ...]) -> None:
        self.schedule = schedule
        self.jobs = jobs
        self.distance = distance_of(schedule)
        """Milliseconds from each due instant to the next one, if that is always the same; else 0."""


class Due(NamedTuple):
    """What a pass found, instants in milliseconds since the epoch."""

    on_time: list[tuple[int, Group]]
    """In the order of the instants."""
    missed: list[tuple[int, Group]]
    """Of each group the first instant that lies before the window (see planning.catch_up)."""


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
        self._in_force_since = in_force_since or {}
        self.until = after
        self._slots: dict[int, list[tuple[int, Group]]] = {}
        self._seconds: list[int] = []
        self._fill()

    @property
    def next_at(self) -> datetime | None:
        """The soonest due instant; None if nothing is ever due."""
        if not self._seconds:
            return None
        return from_milliseconds(min(at for at, _ in self._slots[self._seconds[0]]))

    def pop_until(self, until: datetime, *, not_before: datetime) -> Due:
        """Everything due up to and including `until`; each job moves on to its next instant.

        Of a job's instants before `not_before` only the first is given, as missed: after a long sleep a job of each
        second does not bring back an hour of instants.
        """
        due = Due([], [])
        self.until = max(self.until, until)
        last, first_on_time = to_milliseconds(until), to_milliseconds(not_before + _ALMOST)
        while self._seconds and self._seconds[0] * 1000 <= last:
            if not self._pop_slot(last, first_on_time, due):
                break
        return due

    def move_to(self, until: datetime, now: datetime) -> None:
        """Stand at another instant; what falls due on the way is not given. Back, it costs as much as a new heap.

        A schedule that came into force later than `now` came by a clock that was wrong: it is in force now.
        """
        if until > self.until:
            self.pop_until(until, not_before=until + _MOMENT)
        elif until < self.until:
            self._in_force_since = {job: min(since, now) for job, since in self._in_force_since.items()}
            self.until = until
            self._slots.clear()
            self._seconds.clear()
            self._fill()

    def _fill(self) -> None:
        alike: dict[tuple[Schedule, datetime], list[str]] = {}
        for job, schedule in self._schedules.items():
            begin = max(self.until, self._in_force_since.get(job, self.until))
            alike.setdefault((schedule, begin), []).append(job)
        for (schedule, begin), jobs in alike.items():
            first = schedule.next_after_ms(to_milliseconds(begin))
            if first is not None:
                self._put(first, Group(schedule, tuple(jobs)))

    def _pop_slot(self, last: int, first_on_time: int, due: Due) -> bool:
        """The soonest slot, up to and including `last`. False if a part of it is left."""
        second = self._seconds[0]
        end = min(second * 1000 + 999, last)
        slot = self._slots.pop(second)
        left = [waiting for waiting in slot if waiting[0] > end] if end == last else []
        if left:
            slot = [waiting for waiting in slot if waiting[0] <= end]
            self._slots[second] = left
        else:
            heappop(self._seconds)
        found: list[tuple[int, Group]] = []
        for at, group in slot:
            following: int | None = at
            if at < first_on_time:
                due.missed.append((at, group))
                following = group.schedule.next_after_ms(first_on_time - 1)
            while following is not None and following <= end:
                found.append((following, group))
                following = following + group.distance if group.distance else group.schedule.next_after_ms(following)
            if following is not None:
                self._put(following, group)
        found.sort(key=_instant)
        due.on_time.extend(found)
        return not left

    def _put(self, at: int, group: Group) -> None:
        second = at // 1000
        slot = self._slots.get(second)
        if slot is None:
            self._slots[second] = [(at, group)]
            heappush(self._seconds, second)
        else:
            slot.append((at, group))
