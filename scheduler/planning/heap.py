"""The due-heap: which jobs are due until an instant, at a cost that grows with what is due, not with what exists.

The embedded ticker keeps one; the Functions host makes one at each tick.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.schedules import Schedule

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Due:
    """A job's due instant. `missed`: the first of those that lie before the window (see planning.catch_up)."""

    job: str
    at: datetime
    missed: bool = False


class DueHeap:
    """The next due instant of every scheduled job, soonest first."""

    def __init__(
        self,
        schedules: Iterable[tuple[str, Schedule]],
        after: datetime,
        later: Mapping[str, datetime] | None = None,
    ) -> None:
        """Every schedule's first instant is the one strictly after `after`, or after the job's instant in `later`."""
        self._schedules = dict(schedules)
        since = later or {}
        first = (
            (schedule.next_after(max(after, since.get(job, after))), job) for job, schedule in self._schedules.items()
        )
        self._heap = [(at, job) for at, job in first if at is not None]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_at(self) -> datetime | None:
        """The soonest due instant; None if nothing is ever due."""
        return self._heap[0][0] if self._heap else None

    def pop_until(self, until: datetime, *, not_before: datetime) -> list[Due]:
        """Everything due up to and including `until`, in order; each job moves on to its next instant.

        Of instants before `not_before` only the first of a job is given, marked as missed: after a long sleep a job
        of each second does not bring back an hour of instants.
        """
        found = []
        while self._heap and self._heap[0][0] <= until:
            at, job = self._heap[0]
            missed = at < not_before
            following = self._schedules[job].next_after(not_before - _MOMENT if missed else at)
            if following is None:
                heapq.heappop(self._heap)
            else:
                heapq.heapreplace(self._heap, (following, job))
            found.append(Due(job, at, missed))
        return found
