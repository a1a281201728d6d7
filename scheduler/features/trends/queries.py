"""Reads when the level of a job's response times changed, and what happened near that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from jobs.formats import describe_milliseconds, describe_span
from jobs.ports import Clock
from jobs.runs.histogram import Histogram
from jobs.trends import MINIMUM_RUNS, LevelChange, find_level_changes
from scheduler.catalog.catalog import Catalog, Query
from scheduler.features.changes.job_markers import JobMarker, JobMarkerReader
from scheduler.features.trends.models import LevelChangeModel, LevelModel, LevelTrendModel, NearbyEventModel
from scheduler.identity.principal import Principal
from scheduler.stores.runs.reading import RunReads

MIN_DAYS, MAX_DAYS = 3, 90
_BEFORE, _AFTER = timedelta(hours=6), timedelta(hours=1)
_KINDS = frozenset({"deployment", "definition"})


class TrendReader(Query):
    """All methods raise StoreError."""

    def __init__(self, catalog: Catalog, runs: RunReads, markers: JobMarkerReader, clock: Clock) -> None:
        self._catalog = catalog
        self._runs = runs
        self._markers = markers
        self._clock = clock

    async def read_trend(
        self, principal: Principal, job: str, *, days: int = 28, zone: tzinfo = UTC
    ) -> LevelTrendModel:
        """Return the changes of the last days. `zone`: by whose clocks days repeat. Raises UnknownJob."""
        self._catalog.get_job(job)
        until = self._clock.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        since = until - timedelta(days=days)
        hours = await self._runs.read_response_hours(job, since, until)
        changes = await asyncio.to_thread(find_level_changes, hours, zone) if hours else ()
        found = [await self._describe(principal, job, change) for change in changes]
        enough = sum(sum(stored[1:]) >= MINIMUM_RUNS for stored in hours.values())
        return LevelTrendModel(
            job=job, since=since, until=until, hours=enough, summary=_summarize(found, enough, days), changes=found
        )

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
    last = changes[-1]
    if not last.nearby:
        return f"{last.text}; nothing was deployed or changed near it"
    event = last.nearby[0]
    span = describe_span(abs(event.minutes_before) * 60)
    when = f"{span} before" if event.minutes_before >= 0 else f"{span} after the begin of that hour"
    return f"{last.text}; {event.kind} {when}: {event.text}"
