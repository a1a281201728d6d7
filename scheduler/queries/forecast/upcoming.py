"""The next runs of many jobs, in order. Pure. Called by scheduler.queries.forecast.reader."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heapreplace, nsmallest

from jobs.definition import JobDefinition
from jobs.schedules import from_milliseconds
from scheduler.queries.forecast.counting import DueJob, find_next_run

_JOBS_AT_ONCE = 100
"""Jobs after which the generator yields; some 0.3 ms."""


@dataclass(frozen=True, slots=True)
class UpcomingRun:
    job: JobDefinition
    due_at: datetime


class UpcomingRuns:
    """The next run of each job in a heap, so that a list costs what was due since the list before."""

    def __init__(self, jobs: Sequence[DueJob], until: int) -> None:
        """`until`: the end of the range in milliseconds, exclusive."""
        self._jobs = [due for due in jobs if due.runs]
        self._until = until
        self._heap: list[tuple[int, str, int]] = []
        self._position: int | None = None

    def list_next(self, after: int, count: int) -> Generator[None, None, Sequence[UpcomingRun]]:
        """Return up to `count` runs after `after`, in milliseconds, by instant and name."""
        if self._position is None or after < self._position:
            yield from self._build(after)
        yield from self._advance(after)
        return self._merge(nsmallest(count, self._heap), count)

    def _build(self, after: int) -> Generator[None, None, None]:
        heap: list[tuple[int, str, int]] = []
        for place, due in enumerate(self._jobs):
            at = _find_next(due, after)
            if at is not None and at < self._until:
                heap.append((at, due.job.name, place))
            if not place % _JOBS_AT_ONCE:
                yield
        heapify(heap)
        self._heap, self._position = heap, after

    def _advance(self, after: int) -> Generator[None, None, None]:
        number = 0
        while self._heap and self._heap[0][0] <= after:
            self._replace_first(self._heap, after)
            number += 1
            if not number % _JOBS_AT_ONCE:
                yield
        self._position = max(after, self._position or after)

    def _merge(self, first: list[tuple[int, str, int]], count: int) -> Sequence[UpcomingRun]:
        """Return the first runs of these jobs: none of another job is earlier. `first`: sorted, which is a heap."""
        found: list[UpcomingRun] = []
        while first and len(found) < count:
            at, _, place = first[0]
            found.append(UpcomingRun(self._jobs[place].job, from_milliseconds(at)))
            self._replace_first(first, at)
        return found

    def _replace_first(self, heap: list[tuple[int, str, int]], after: int) -> None:
        _, name, place = heap[0]
        following = _find_next(self._jobs[place], after)
        if following is None or following >= self._until:
            heappop(heap)
        else:
            heapreplace(heap, (following, name, place))


def iterate_runs(due: DueJob, since: int, until: int) -> Iterator[int]:
    """Yield the runs of a job from `since` on, before `until`, in milliseconds."""
    at = _find_next(due, since - 1)
    while at is not None and at < until:
        yield at
        at = _find_next(due, at)


def _find_next(due: DueJob, after: int) -> int | None:
    assert due.job.schedule is not None  # see counting.DueJob
    if not due.suspensions.spans:
        return due.job.schedule.next_after_ms(after)
    return find_next_run(due.job.schedule, due.suspensions, after)
