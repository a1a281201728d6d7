"""Reads when the level of a job's response times changed, and what happened near that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from jobs.formats import describe_milliseconds, describe_span
from jobs.ports import Clock
from jobs.runs.histogram import Histogram
from jobs.trends import MIN_HOURS, MINIMUM_RUNS, LevelChange, find_level_changes
from scheduler.catalog.catalog import Catalog, Query
from scheduler.features.changes.job_markers import JobMarker, JobMarkerReader
from scheduler.features.trends.models import LevelChangeModel, LevelModel, LevelTrendModel, NearbyEventModel
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
        self._cache = TimedCache[Sequence[LevelChange]](clock, 0.0, _CACHED_SECONDS, _MAX_CACHED)

    async def read_recent(self, principal: Principal, job: str, zone: tzinfo) -> Sequence[LevelChangeModel]:
        """Return the changes of the last DEFAULT_DAYS for pages, found once an hour. Raises UnknownJob."""
        self._catalog.get_job(job)
        until = self._find_end()

        async def find() -> Sequence[LevelChange]:
            hours = await self._runs.read_response_hours(job, until - timedelta(days=DEFAULT_DAYS), until)
            if len(hours) < 2 * MIN_HOURS:
                return []  # without a thread: of most new jobs
            return await asyncio.to_thread(find_level_changes, hours, zone)

        key = job, self._runs.list_begins([job]), until, zone
        changes = await self._cache.get(key, _CACHED_SECONDS, find)
        return [await self._describe(principal, job, change) for change in changes]

    async def read_trend(
        self, principal: Principal, job: str, *, days: int = DEFAULT_DAYS, zone: tzinfo = UTC
    ) -> LevelTrendModel:
        """Return the changes of the last days. `zone`: by whose clocks days repeat. Raises UnknownJob."""
        self._catalog.get_job(job)
        until = self._find_end()
        since = until - timedelta(days=days)
        hours = await self._runs.read_response_hours(job, since, until)
        changes = await asyncio.to_thread(find_level_changes, hours, zone) if hours else ()
        found = [await self._describe(principal, job, change) for change in changes]
        enough = sum(sum(stored[1:]) >= MINIMUM_RUNS for stored in hours.values())
        return LevelTrendModel(
            job=job, since=since, until=until, hours=enough, summary=_summarize(found, enough, days), changes=found
        )

    def _find_end(self) -> datetime:
        """Return the end of the last complete hour."""
        return self._clock.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)

    async def _describe(self, principal: Principal, job: str, change: LevelChange) -> LevelChangeModel:
        marked = await self._markers.list_markers(principal, job, change.at - _BEFORE, change.at + _AFTER)
        was, now = (describe_milliseconds(each.quantile(0.95) or 0.0) for each in (change.before, change.after))
        return LevelChangeModel(
            at=change.at,
            ratio=round(change.ratio, 3),
            text=f"p95 was {was} until {change.at:%Y-%m-%d %H:%M} UTC, {now} since",
            before=_describe_level(change.before),
            after=_describe_level(change.after),
            nearby=_list_nearby(marked, change.at),
        )


def _describe_level(level: Histogram) -> LevelModel:
    p50, p95, p99 = (level.quantile(share) for share in (0.5, 0.95, 0.99))
    return LevelModel(runs=level.total, p50_ms=p50, p95_ms=p95, p99_ms=p99)


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


def _summarize(changes: Sequence[LevelChangeModel], hours: int, days: int) -> str:
    if not changes:
        if not hours:
            return f"no hour of the last {days} days has {MINIMUM_RUNS} runs with a response"
        return f"no change of the level in the last {days} days"
    return f"{changes[-1].text}; {_describe_nearest(changes[-1])}"


def describe_mark(change: LevelChangeModel, zone: tzinfo) -> str:
    """Return the text of a change in a chart: `p95 180 ms until Tue 24 Nov 14:00, 320 ms since; deployment ...`."""
    was, now = _format_p95(change)
    return f"p95 {was} until {_format_begin(change, zone)}, {now} since; {_describe_nearest(change)}"


def describe_newest(change: LevelChangeModel, zone: tzinfo) -> str:
    """Return a headline: `Slower since Tue 24 Nov 14:00: p95 180 ms to 320 ms; deployment ...`."""
    was, now = _format_p95(change)
    word = "Slower" if change.ratio > 1 else "Faster"
    return f"{word} since {_format_begin(change, zone)}: p95 {was} to {now}; {_describe_nearest(change)}"


def _format_p95(change: LevelChangeModel) -> tuple[str, str]:
    return describe_milliseconds(change.before.p95_ms or 0.0), describe_milliseconds(change.after.p95_ms or 0.0)


def _format_begin(change: LevelChangeModel, zone: tzinfo) -> str:
    return f"{change.at.astimezone(zone):%a %d %b %H:%M}"


def _describe_nearest(change: LevelChangeModel) -> str:
    if not change.nearby:
        return "nothing was deployed or changed near it"
    event = change.nearby[0]
    span = describe_span(abs(event.minutes_before) * 60)
    when = f"{span} before" if event.minutes_before >= 0 else f"{span} after the begin of that hour"
    return f"{event.kind} {when}: {event.text}"
