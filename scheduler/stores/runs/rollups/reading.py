"""Reads the rollups of a job. Used by runs.reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.runs import Run
from scheduler.stores.port import Row, Store
from scheduler.stores.rows.json_text import decode_json
from scheduler.stores.runs.keys import (
    HISTORY_TABLE,
    PREFIX_END,
    RUN_PREFIX,
    DueRange,
    job_prefix,
    shard_of_job,
)
from scheduler.stores.runs.open_index import list_history_between
from scheduler.stores.runs.rollups.days import decode_hours, sum_by_hour, sum_counts
from scheduler.stores.runs.rollups.keys import (
    DAY,
    DAY_HOURS_PREFIX,
    DAY_PREFIX,
    HOUR,
    HOUR_PREFIX,
    OLD_HOUR_PREFIX,
    format_day,
    format_hour,
    hour_of,
    parse_hour,
)
from scheduler.stores.runs.rollups.tally import Rollup
from scheduler.stores.runs.rollups.uncounted import decode_old_hour, sum_runs, uncounted_runs
from scheduler.stores.runs.rollups.upkeep import RollupUpkeep
from scheduler.turns import convert_each

_RUNS_PER_PAGE = 200


@dataclass(frozen=True, slots=True)
class RollupPart:
    """The runs of a job that were due in an hour or a day from `start` on."""

    start: datetime
    span: timedelta
    rollup: Rollup

    @property
    def end(self) -> datetime:
        return self.start + self.span


class RollupReads:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._upkeep = RollupUpkeep(store)

    async def list_parts(
        self, job: str, since: datetime, until: datetime, boundaries: Collection[datetime] = ()
    ) -> Sequence[RollupPart]:
        """Return the parts of [since, until), in the order of time: days, and hours of days that one of these instants
        or of `boundaries` divides. All are full hours in UTC.
        """
        divided = {format_day(instant) for instant in (since, until, *boundaries) if instant.hour}
        found = await asyncio.gather(
            self._list_days(job, since, until, divided),
            self._list_hours(job, since, until),
            *(self._list_hours_of_day(job, day, since, until) for day in sorted(divided)),
        )
        parts = [part for some in found for part in some]
        if not await self._upkeep.has_counted(shard_of_job(job)):
            parts += await self._list_older_versions(job, since, until)
        return sorted(parts, key=lambda part: part.start)

    async def find_complete_since(self, job: str, otherwise: datetime) -> datetime | None:
        """See Runs.find_rollups_complete_since."""
        return await self._upkeep.find_complete_since(shard_of_job(job), otherwise)

    async def _list_days(
        self, job: str, since: datetime, until: datetime, divided: Collection[str]
    ) -> Sequence[RollupPart]:
        rows = await self._list_between(DAY_PREFIX, job, format_day(since - DAY), format_day(until))
        return await convert_each(_day_part, (row for row in rows if hour_of(row.key) not in divided))

    async def _list_hours(self, job: str, since: datetime, until: datetime) -> Sequence[RollupPart]:
        rows = await self._list_between(HOUR_PREFIX, job, format_hour(since - HOUR), format_hour(until))
        return [RollupPart(parse_hour(hour), HOUR, rollup) for hour, rollup in sum_by_hour(rows).items()]

    async def _list_hours_of_day(self, job: str, day: str, since: datetime, until: datetime) -> Sequence[RollupPart]:
        row = await self._store.get_row(HISTORY_TABLE, shard_of_job(job), f"{DAY_HOURS_PREFIX}{job}~{day}")
        stored = {} if row is None else decode_hours(row.body)
        starts = ((parse_hour(day + hour), body) for hour, body in stored.items())
        return [RollupPart(start, HOUR, Rollup.decode(body)) for start, body in starts if since <= start < until]

    async def _list_older_versions(self, job: str, since: datetime, until: datetime) -> Sequence[RollupPart]:
        old = await self._list_between(OLD_HOUR_PREFIX, job, format_hour(since - HOUR), format_hour(until))
        parts = [RollupPart(parse_hour(hour_of(row.key)), HOUR, decode_old_hour(row)) for row in old]
        counts = sum_runs([run async for run in self._iterate_uncounted(job, since, until)])
        return [*parts, *(RollupPart(hour, HOUR, sum_counts([one])) for hour, one in counts.items())]

    async def _iterate_uncounted(self, job: str, since: datetime, until: datetime) -> AsyncIterator[Run]:
        due, first = DueRange(since, until - timedelta(milliseconds=1)), job_prefix(RUN_PREFIX, job)
        after = first + due.after
        # A larger page would delay other readers.
        while rows := await self._store.list_rows(
            HISTORY_TABLE, shard_of_job(job), after=after, until=first + due.end, limit=_RUNS_PER_PAGE
        ):
            for _, run in uncounted_runs(rows):
                yield run
            after = rows[-1].key

    async def _list_between(self, prefix: str, job: str, before_first: str, end: str) -> Sequence[Row]:
        first = f"{prefix}{job}~"
        return await list_history_between(
            self._store, shard_of_job(job), f"{first}{before_first}{PREFIX_END}", first + end
        )


def merge_parts(parts: Iterable[RollupPart]) -> Rollup:
    """Return the sum of parts in the order of time."""
    total = Rollup()
    for part in parts:
        total.merge(part.rollup)
    return total


def _day_part(row: Row) -> RollupPart:
    return RollupPart(parse_hour(hour_of(row.key)), DAY, Rollup.decode(decode_json(row.body)))
