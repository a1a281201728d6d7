"""The next runs of many jobs, in order. Pure. Called by scheduler.queries.forecast.reader."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heapreplace

from jobs.definition import JobDefinition
from jobs.schedules import from_milliseconds
from scheduler.queries.forecast.counting import DueJob, find_next_run

_JOBS_AT_ONCE = 100
"""Jobs after which the generator yields; some 0.3 ms."""


@dataclass(frozen=True, slots=True)
class UpcomingRun:
    job: JobDefinition
    due_at: datetime


def list_upcoming(
    jobs: Sequence[DueJob], after: int, until: int, count: int
) -> Generator[None, None, Sequence[UpcomingRun]]:
    """Return up to `count` runs after `after`, before `until`, by instant and name. Both are in milliseconds."""
    heap: list[tuple[int, str, int]] = []
    for place, due in enumerate(jobs):
        at = _find_next(due, after) if due.runs else None
        if at is not None and at < until:
            heap.append((at, due.job.name, place))
        if not place % _JOBS_AT_ONCE:
            yield
    heapify(heap)
    found: list[UpcomingRun] = []
    while heap and len(found) < count and heap[0][0] < until:
        at, name, place = heap[0]
        found.append(UpcomingRun(jobs[place].job, from_milliseconds(at)))
        following = _find_next(jobs[place], at)
        heapreplace(heap, (until if following is None else following, name, place))
    return found


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
