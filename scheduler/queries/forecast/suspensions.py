"""When jobs are not run on their schedule: pauses, and maintenance windows with `effect: pause`. Pure.

Called by scheduler.queries.forecast.counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.definition import JobDefinition
from jobs.incidents.suppression.finding import SuppressionSet, list_window_times
from jobs.incidents.suppression.windows import AlertSubject, MaintenanceWindow, RequestedWindow, WindowEffect
from jobs.schedules import from_milliseconds, to_milliseconds
from jobs.schedules.protocol import LAST_MS
from scheduler.stores.gates import Pause

MillisecondSpan = tuple[int, int]
"""From, inclusive, and until, exclusive, in milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class SuspendedTime:
    """`source`: such as `paused: deployment` or `window patching`. `until` None: until the job is resumed."""

    source: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class JobSuspensions:
    """`spans`: those of `times` in order, without overlaps."""

    times: tuple[SuspendedTime, ...] = ()
    spans: tuple[MillisecondSpan, ...] = ()

    def next_allowed(self, at: int) -> int:
        """Return the first instant from `at` on at which the job is not suspended."""
        for since, until in self.spans:
            if since <= at < until:
                at = until
        return at


NOT_SUSPENDED = JobSuspensions()


@dataclass(frozen=True, slots=True)
class SuspendedJobs:
    """The times of one source, with the names of the jobs that have all of them."""

    source: str
    times: Sequence[SuspendedTime]
    jobs: Sequence[str]


def group_by_source(found: Iterable[tuple[str, JobSuspensions]]) -> list[SuspendedJobs]:
    """Return the suspensions of some jobs, by their first begin."""
    by_times: dict[tuple[SuspendedTime, ...], list[str]] = {}
    for job, suspensions in found:
        for source in dict.fromkeys(time.source for time in suspensions.times):
            times = tuple(time for time in suspensions.times if time.source == source)
            by_times.setdefault(times, []).append(job)
    groups = [SuspendedJobs(times[0].source, times, jobs) for times, jobs in by_times.items()]
    return sorted(groups, key=lambda each: (each.times[0].since, each.source, each.jobs))


class SuspensionFinder:
    """Finds the suspensions of jobs from `since` to `until`. `pauses`: those in force now, by job."""

    def __init__(
        self,
        pauses: Mapping[str, Pause],
        windows: Sequence[MaintenanceWindow],
        requested: Sequence[RequestedWindow],
        since: datetime,
        until: datetime,
    ) -> None:
        self._pauses = pauses
        self._windows = SuppressionSet(
            tuple(each for each in windows if each.effect is WindowEffect.PAUSE),
            tuple(each for each in requested if each.window.effect is WindowEffect.PAUSE),
        )
        self._since, self._until = since, until
        self._by_windows: dict[tuple[int, ...], tuple[SuspendedTime, ...]] = {}

    def find(self, job: JobDefinition) -> JobSuspensions:
        """Return when a job is suspended."""
        pause = self._pauses.get(job.name)
        times = self._find_windows(job) if self._windows.sources else ()
        if pause is not None:
            source = f"paused: {pause.reason}" if pause.reason else "paused"
            times = (SuspendedTime(source, pause.since, pause.until), *times)
        return JobSuspensions(times, _merge(times, to_milliseconds(self._since))) if times else NOT_SUSPENDED

    def _find_windows(self, job: JobDefinition) -> tuple[SuspendedTime, ...]:
        subject = AlertSubject(job.name, str(job.check.kind), "", job.tags)
        sources = self._windows.sources
        covering = tuple(place for place, each in enumerate(sources) if each.covers(subject, any_severity=True))
        if not covering:
            return ()
        if covering not in self._by_windows:
            found = list_window_times(subject, self._windows, self._since, self._until, pauses=True)
            self._by_windows[covering] = tuple(
                SuspendedTime(
                    f"window {window.name}: {window.reason}" if window.reason else f"window {window.name}",
                    span.begin,
                    span.end,
                )
                for window, span in found
            )
        return self._by_windows[covering]


def _merge(times: Sequence[SuspendedTime], not_before: int) -> tuple[MillisecondSpan, ...]:
    """Return the spans of these times. Those that began earlier begin at `not_before`, so that many are equal."""
    found: list[MillisecondSpan] = []
    spans = (
        (max(_round_up(each.since), not_before), LAST_MS if each.until is None else _round_up(each.until))
        for each in times
    )
    for since, until in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until)
        else:
            found.append((since, until))
    return tuple(found)


def _round_up(instant: datetime) -> int:
    at = to_milliseconds(instant)
    return at if from_milliseconds(at) == instant else at + 1
