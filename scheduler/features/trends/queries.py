"""Reads when the level of a job's response times, durations, success rate or lateness changed, and what happened near
that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from jobs.formats import describe_span
from jobs.ports import Clock
from jobs.trends import MIN_HOURS, MINIMUM_RUNS, MeasureName
from scheduler.catalog.catalog import Catalog, Query
from scheduler.features.changes.job_markers import JobMarker, JobMarkerReader
from scheduler.features.trends.measures import MEASURES, Hours, find_changes, format_level, list_levels
from scheduler.features.trends.models import LevelChangeModel, LevelTrendModel, NearbyEventModel
from scheduler.identity.principal import Principal
from scheduler.stores.runs.reading import RunReads
from scheduler.timed_cache import TimedCache

MIN_DAYS, MAX_DAYS = 3, 90
_BEFORE, _AFTER = timedelta(hours=6), timedelta(hours=1)
_KINDS = frozenset({"deployment", "definition"})
DEFAULT_DAYS = 28
_CACHED_SECONDS = 3600.0
_MAX_CACHED = 500
"""Jobs, of a few kilobytes each."""


class TrendReader(Query):
    """All methods raise StoreError."""

    def __init__(self, catalog: Catalog, runs: RunReads, markers: JobMarkerReader, clock: Clock) -> None:
        self._catalog = catalog
        self._runs = runs
        self._markers = markers
        self._clock = clock
        self._cache = TimedCache[Sequence[LevelChangeModel]](clock, 0.0, _CACHED_SECONDS, _MAX_CACHED)

    async def read_recent(self, principal: Principal, job: str, zone: tzinfo = UTC) -> Sequence[LevelChangeModel]:
        """Return the changes of all measures in the last DEFAULT_DAYS, found once an hour. Raises UnknownJob.

        The oldest is the first; of one hour, that of the success rate is the last.
        """
        self._catalog.get_job(job)
        until = self._find_end()

        async def find() -> Sequence[LevelChangeModel]:
            hours = await self._runs.read_hours(job, until - timedelta(days=DEFAULT_DAYS), until)
            if len(hours) < 2 * MIN_HOURS:
                return []  # without a thread: of most new jobs
            return await asyncio.to_thread(_find_all_changes, hours, zone)

        key = job, self._runs.list_begins([job]), until, zone
        changes = await self._cache.get(key, _CACHED_SECONDS, find)
        return [await self._add_nearby(principal, job, change) for change in changes]

    async def read_trend(
        self,
        principal: Principal,
        job: str,
        *,
        measure: MeasureName = "response_time",
        days: int = DEFAULT_DAYS,
        zone: tzinfo = UTC,
    ) -> LevelTrendModel:
        """Return the changes of the last days. `zone`: by whose clocks days repeat. Raises UnknownJob."""
        self._catalog.get_job(job)
        until = self._find_end()
        since = until - timedelta(days=days)
        hours = await self._runs.read_hours(job, since, until)
        levels = await asyncio.to_thread(list_levels, hours, measure) if hours else {}
        changes = await asyncio.to_thread(find_changes, hours, levels, measure, zone) if levels else ()
        found = [await self._add_nearby(principal, job, change) for change in changes]
        return LevelTrendModel(
            job=job,
            measure=measure,
            since=since,
            until=until,
            hours=len(levels),
            summary=_summarize(found, measure, len(levels), days),
            changes=found,
        )

    def _find_end(self) -> datetime:
        """Return the end of the last complete hour."""
        return self._clock.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)

    async def _add_nearby(self, principal: Principal, job: str, change: LevelChangeModel) -> LevelChangeModel:
        marked = await self._markers.list_markers(principal, job, change.at - _BEFORE, change.at + _AFTER)
        return change.model_copy(update={"nearby": _list_nearby(marked, change.at)})


def _find_all_changes(hours: Hours, zone: tzinfo) -> Sequence[LevelChangeModel]:
    levels = {measure: list_levels(hours, measure) for measure in MEASURES}
    if levels["response_time"]:
        del levels["duration"]  # it changes with the response time
    changes = [
        change
        for measure in ("lateness", "duration", "response_time", "success_rate")
        if measure in levels
        for change in find_changes(hours, levels[measure], measure, zone)
    ]
    return sorted(changes, key=lambda change: change.at)


def _list_nearby(marked: Sequence[JobMarker], at: datetime) -> list[NearbyEventModel]:
    """Return deployments and changed definitions. Within the first hour of the new level the instant is not known."""
    nearby = [each for each in marked if each.kind in _KINDS]
    nearby.sort(key=lambda each: abs(each.at - at))
    return [
        NearbyEventModel(
            at=each.at,
            kind=each.kind,
            text=each.text,
            by=each.by,
            minutes_before=round((at - each.at) / timedelta(minutes=1), 1),
        )
        for each in nearby
    ]


def _summarize(changes: Sequence[LevelChangeModel], measure: MeasureName, hours: int, days: int) -> str:
    if not changes:
        if not hours:
            return f"no hour of the last {days} days has {MINIMUM_RUNS} runs with {MEASURES[measure].value}"
        return f"no change of the level in the last {days} days"
    return f"{changes[-1].text}; {_describe_nearest(changes[-1])}"


def describe_mark(change: LevelChangeModel, zone: tzinfo) -> str:
    """Return the text of a change in a chart: `p95 180 ms until Tue 24 Nov 14:00, 320 ms since; deployment ...`."""
    name, was, now = MEASURES[change.measure].name, format_level(change.before), format_level(change.after)
    return f"{name} {was} until {_format_begin(change, zone)}, {now} since; {_describe_nearest(change)}"


def describe_newest(change: LevelChangeModel, zone: tzinfo) -> str:
    """Return a headline: `Slower since Tue 24 Nov 14:00: p95 180 ms to 320 ms; deployment ...`."""
    measure, was, now = MEASURES[change.measure], format_level(change.before), format_level(change.after)
    word = measure.worse if change.is_worse else measure.better
    return f"{word} since {_format_begin(change, zone)}: {measure.name} {was} to {now}; {_describe_nearest(change)}"


def _format_begin(change: LevelChangeModel, zone: tzinfo) -> str:
    return f"{change.at.astimezone(zone):%a %d %b %H:%M}"


def _describe_nearest(change: LevelChangeModel) -> str:
    if not change.nearby:
        return "nothing was deployed or changed near it"
    event = change.nearby[0]
    span = describe_span(abs(event.minutes_before) * 60)
    when = f"{span} before" if event.minutes_before >= 0 else f"{span} after the begin of that hour"
    return f"{event.kind} {when}: {event.text}"
