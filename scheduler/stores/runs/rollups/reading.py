"""Reads the rollups of a job, or of many jobs.

Many ranges of the keys of a partition are read with few requests: the ranges of a large store often have few rows, or
none, and one page has the rows of many of them. Where many other rows are between the ranges, these are read one
by one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from jobs.runs import Run
from jobs.runs.histogram import Histogram
from scheduler.stores.port import Row, Store
from scheduler.stores.rows import PREFIX_END, decode_json, list_all_rows
from scheduler.stores.runs.keys import HISTORY_TABLE, RUN_PREFIX, DueRange, job_prefix, shard_of_job
from scheduler.stores.runs.open_runs import list_history_between
from scheduler.stores.runs.rollups.days import decode_hours, sum_by_hour, sum_counts
from scheduler.stores.runs.rollups.hours import HourCounts
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
from scheduler.stores.runs.rollups.tally import RESPONSE_TIME_PART, Rollup, Tally
from scheduler.stores.runs.rollups.upkeep import RollupUpkeep, decode_old_hour, sum_runs, uncounted_runs
from scheduler.turns import convert_each

ROWS_PER_PAGE = 200
"""A larger page would delay other readers."""
RANGES_AT_ONCE = 25
"""Ranges that are read one by one before a page is tried again."""
_HOURS_OF_DAY = {f"{hour:02}": hour * HOUR for hour in range(24)}
MAX_OTHER_ROWS = 20
"""Rows outside of the ranges that a page may have for each range it passes: they cost about as much as a request."""


class KeyRange(NamedTuple):
    """Keys greater than `after` and less than `until`."""

    after: str
    until: str


RangeRows = tuple[int, list[Row]]
"""The number of a range, and all of its rows."""


async def iterate_ranges(
    store: Store, table: str, partition: str, ranges: Sequence[KeyRange]
) -> AsyncIterator[Sequence[RangeRows]]:
    """Yield the rows of each range that has some, in the order of the ranges. Raises StoreUnavailable.

    `ranges`: ascending, without a common key.
    """
    place, pending = 0, list[Row]()
    ends = [key_range.until for key_range in ranges]
    while place < len(ranges):
        after = max(ranges[place].after, pending[-1].key if pending else "")
        rows = await store.list_rows(table, partition, after=after, until=ends[-1], limit=ROWS_PER_PAGE)
        complete, unfinished, number = _assign(rows, ranges, ends, place, pending)
        if len(rows) < ROWS_PER_PAGE:
            if unfinished:
                complete.append((number, unfinished))
            place = len(ranges)
        else:
            others = len(rows) + len(pending) - len(unfinished) - sum(len(range_rows) for _, range_rows in complete)
            passed, place, pending = number - place, number, unfinished
            if others > MAX_OTHER_ROWS * (passed + 1) and not pending:
                # Most of a page lies outside of the ranges: reading each range alone costs fewer rows.
                next_ranges = ranges[place : place + RANGES_AT_ONCE]
                reads = (_read_range(store, table, partition, key_range) for key_range in next_ranges)
                singly = await asyncio.gather(*reads)
                complete += [(place + at, range_rows) for at, range_rows in enumerate(singly) if range_rows]
                place += len(next_ranges)
        if complete:
            yield complete


def _assign(
    rows: Sequence[Row], ranges: Sequence[KeyRange], ends: Sequence[str], place: int, pending: Sequence[Row]
) -> tuple[list[RangeRows], list[Row], int]:
    """Return the rows of the ranges that end before the last row, those of the range that it is in or before, and the
    number of this range. `pending`: rows of the range `place` that were read before.
    """
    complete, unfinished = list[RangeRows](), [*pending]
    for row in rows:
        if row.key >= ends[place]:
            if unfinished:
                complete.append((place, unfinished))
                unfinished = []
            place = bisect_right(ends, row.key, place)
        if row.key > ranges[place].after:
            unfinished.append(row)
    return complete, unfinished, place


async def _read_range(store: Store, table: str, partition: str, of: KeyRange) -> list[Row]:
    return await list_all_rows(store, table, partition, after=of.after, until=of.until)


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


JobPart = tuple[str, RollupPart]
"""A job, and a part of its rollups."""


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
        lists = await asyncio.gather(
            self._list_days(job, since, until, divided),
            self._list_hours(job, since, until),
            *(self._list_hours_of_day(job, day, since, until) for day in sorted(divided)),
        )
        parts = [part for some in lists for part in some]
        if not await self._upkeep.has_counted(shard_of_job(job)):
            parts += await self._list_older_versions(job, since, until)
        return sorted(parts, key=lambda part: part.start)

    async def read_response_hours(self, job: str, since: datetime, until: datetime) -> dict[datetime, Sequence[int]]:
        """Return the response times of each hour of [since, until) that has runs, as encoded histograms. Full hours.

        The hours of a day are one row, so this reads a row a day. Runs of older versions that are not counted yet are
        not contained.
        """
        days, recent = await self._list_hour_rows(job, since, until)
        hours: dict[datetime, Sequence[int]] = {}
        for found in await convert_each(_response_times_of_day, days):
            hours.update(found)
        if since.hour or until.hour:
            hours = {start: times for start, times in hours.items() if since <= start < until}
        for row in recent:
            times, start = HourCounts.decode(row.body).tally.response_time, parse_hour(hour_of(row.key))
            times.merge(Histogram.decode(hours.get(start, ())))
            hours[start] = times.encode()
        return hours

    async def read_hours(self, job: str, since: datetime, until: datetime) -> dict[datetime, Tally]:
        """Return the counts of each hour of [since, until) that has runs, as `read_response_hours` reads them."""
        days, recent = await self._list_hour_rows(job, since, until)
        hours: dict[datetime, Tally] = {}
        for parts in await convert_each(lambda day: [*_decode_hours_of_days(since, until, [day])], days):
            hours.update((part.start, part.rollup.tally) for part in parts)
        for row in recent:
            hours.setdefault(parse_hour(hour_of(row.key)), Tally()).merge(HourCounts.decode(row.body).tally)
        return hours

    async def _list_hour_rows(self, job: str, since: datetime, until: datetime) -> tuple[Sequence[Row], Sequence[Row]]:
        """Return the rows of complete days that have their hours, and those of single hours."""
        days = await self._list_between(DAY_HOURS_PREFIX, job, format_day(since - DAY), format_day(until + DAY - HOUR))
        return days, await self._list_between(HOUR_PREFIX, job, format_hour(since - HOUR), format_hour(until))

    async def iterate_many(
        self, jobs: Sequence[str], since: datetime, until: datetime
    ) -> AsyncIterator[Iterator[JobPart]]:
        """Yield the parts that `list_parts` returns for each of these jobs of one shard, in any order.

        Each iterator decodes when it is consumed, which takes longer than reading: consume it in short steps.
        """
        shard = shard_of_job(jobs[0])
        if not await self._upkeep.has_counted(shard):
            for job in jobs:
                yield ((job, part) for part in await self.list_parts(job, since, until))
            return
        ordered = sorted(jobs, key=lambda job: f"{job}~")
        for span in _list_spans(since, until):
            ranges = [KeyRange(f"{span.prefix}{job}~{span.after}", f"{span.prefix}{job}~{span.end}") for job in ordered]
            async for found in iterate_ranges(self._store, HISTORY_TABLE, shard, ranges):
                yield ((ordered[place], part) for place, rows in found for part in span.decode(rows))

    async def find_complete_since(self, job: str, otherwise: datetime) -> datetime | None:
        """Return the instant from which every run of the job is counted; None if that is always so."""
        return await self._upkeep.find_complete_since(shard_of_job(job), otherwise)

    async def _list_days(
        self, job: str, since: datetime, until: datetime, divided: Collection[str]
    ) -> Sequence[RollupPart]:
        rows = await self._list_between(DAY_PREFIX, job, format_day(since - DAY), format_day(until))
        return await convert_each(_day_part, (row for row in rows if hour_of(row.key) not in divided))

    async def _list_hours(self, job: str, since: datetime, until: datetime) -> Sequence[RollupPart]:
        rows = await self._list_between(HOUR_PREFIX, job, format_hour(since - HOUR), format_hour(until))
        return [*_decode_hours(rows)]

    async def _list_hours_of_day(self, job: str, day: str, since: datetime, until: datetime) -> Sequence[RollupPart]:
        row = await self._store.get_row(HISTORY_TABLE, shard_of_job(job), f"{DAY_HOURS_PREFIX}{job}~{day}")
        return [] if row is None else [*_decode_hours_of_days(since, until, [row])]

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


class _KeySpan(NamedTuple):
    """Rows of a job: those with keys of this prefix between these instants. `decode`: returns their parts."""

    prefix: str
    after: str
    end: str
    decode: Callable[[Sequence[Row]], Iterable[RollupPart]]


def _list_spans(since: datetime, until: datetime) -> Iterator[_KeySpan]:
    """Yield what has the parts of [since, until): complete days, hours of recent days, hours of days that are cut."""
    first = since + DAY if since.hour else since
    if format_day(first) < format_day(until):
        yield _KeySpan(DAY_PREFIX, format_day(first - DAY) + PREFIX_END, format_day(until), partial(map, _day_part))
    yield _KeySpan(HOUR_PREFIX, format_hour(since - HOUR) + PREFIX_END, format_hour(until), _decode_hours)
    for day in sorted({format_day(instant) for instant in (since, until) if instant.hour}):
        before = format_day(parse_hour(day) - DAY) + PREFIX_END
        yield _KeySpan(DAY_HOURS_PREFIX, before, day + PREFIX_END, partial(_decode_hours_of_days, since, until))


def _decode_hours(rows: Sequence[Row]) -> Iterator[RollupPart]:
    return (RollupPart(parse_hour(hour), HOUR, rollup) for hour, rollup in sum_by_hour(rows))


def _decode_hours_of_days(since: datetime, until: datetime, rows: Sequence[Row]) -> Iterator[RollupPart]:
    for row in rows:
        for hour, body in decode_hours(row.body).items():
            start = parse_hour(hour_of(row.key) + hour)
            if since <= start < until:
                yield RollupPart(start, HOUR, Rollup.decode(body))


def _response_times_of_day(row: Row) -> dict[datetime, Sequence[int]]:
    day, found = parse_hour(hour_of(row.key)), dict[datetime, Sequence[int]]()
    for hour, parts in decode_hours(row.body).items():
        times = parts[RESPONSE_TIME_PART]
        # Earlier versions stored counts by bucket.
        found[day + _HOURS_OF_DAY[hour]] = Histogram.decode(times).encode() if type(times) is dict else times
    return found


def _day_part(row: Row) -> RollupPart:
    return RollupPart(parse_hour(hour_of(row.key)), DAY, Rollup.decode(decode_json(row.body)))
