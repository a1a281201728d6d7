"""The keys of rollups in table HISTORY_TABLE, and the jobs whose counts have changed.

    hour~{job}~{hour}{.writer}    counts of an hour (2026112503, UTC), as runs finish
    day~{job}~{day}               the sum of a complete day
    hours~{job}~{day}             the hours of a complete day
    total~{job}                   the sum of all complete days, also of those that are deleted
    late~{job}~{.writer}          that a run was counted long after its due instant
    h~{job}~{hour}                of older versions: uptime samples of runs that were deleted by their number

A run counts in the hour of its due instant. All rows are in the partition of the job's runs, so that a run and its
count are one transaction. Where several processes share the store, each has its own rows (`writer`).

Most runs finish soon after their due instant: jobs with changed counts are found by the newest pointers to finished
runs, whichever process finished them. A run that finishes later than LATE_AFTER leaves a mark of its job, in the
transaction that counts it. So a read costs as many rows as runs have finished, and a few more.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.runs import Run
from scheduler.stores.port import Change, Delete, RowChanged, Store, Upsert
from scheduler.stores.rows import PREFIX_END, iterate_pages
from scheduler.stores.runs.keys import DONE_PREFIX, HISTORY_TABLE, SHARD_NAMES, RunKey, reverse_ms

HOUR_PREFIX, DAY_PREFIX, DAY_HOURS_PREFIX, OLD_HOUR_PREFIX = "hour~", "day~", "hours~", "h~"
TOTAL_PREFIX, LATE_PREFIX = "total~", "late~"
STATE_KEY = "rollups"
"""The row with the progress of scheduler.stores.runs.rollups.upkeep in a partition."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_DAY_LENGTH, _HOUR_LENGTH = len("20261125"), len("2026112503")


def format_hour(instant: datetime) -> str:
    """Return the hour of a UTC instant as keys have it."""
    return f"{instant.year:04d}{instant.month:02d}{instant.day:02d}{instant.hour:02d}"


def format_day(instant: datetime) -> str:
    return format_hour(instant)[:_DAY_LENGTH]


def parse_hour(hour: str) -> datetime:
    """Parse an hour, or a day as its first hour."""
    return datetime(int(hour[:4]), int(hour[4:6]), int(hour[6:8]), int(hour[8:10] or 0), tzinfo=UTC)


def job_of(key: str) -> str:
    """Return the job of any row of an hour or a day."""
    return key.split("~", 2)[1]


def hour_of(key: str) -> str:
    """Return the hour of an hour's row, or the day of a day's."""
    return key.split("~", 2)[2][:_HOUR_LENGTH]


def last_of_job(prefix: str, job: str) -> str:
    """Return a key after all rows of the job."""
    return f"{prefix}{job}~{PREFIX_END}"


LATE_AFTER = timedelta(seconds=60)
"""After its due instant."""
OVERLAP = 2 * LATE_AFTER
"""For which pointers are read again: clocks differ, and a result is stored a while after the end of its run."""
_DELETED_AT_ONCE = 90


def mark_late(row_key: str, runs: Iterable[Run]) -> list[Change]:
    """Return the mark of an hour's runs, if one of them finished late. `row_key`: of the hour, with the writer."""
    late = [run for run in runs if run.finished_at - run.due_at > LATE_AFTER]
    if not late:
        return []
    key, newest = RunKey.for_ticket(late[0]), max(run.finished_at for run in late)
    _, dot, writer = row_key.rpartition("~")[2].partition(".")
    return [Upsert(HISTORY_TABLE, key.shard, f"{LATE_PREFIX}{key.job}~{dot}{writer}", format_hour(newest))]


async def delete_late_marks(store: Store, shard: str, day: str) -> None:
    """Delete the marks of runs that finished before this day (20261125)."""
    after, until = LATE_PREFIX, LATE_PREFIX + PREFIX_END
    async for rows in iterate_pages(store, HISTORY_TABLE, shard, after=after, until=until, size=_DELETED_AT_ONCE):
        old = [row for row in rows if row.body[:_DAY_LENGTH] < day]
        with suppress(RowChanged):  # the next round deletes them
            await store.apply(*(Delete(HISTORY_TABLE, shard, row.key, row.etag) for row in old))


@dataclass(slots=True)
class ChangedJobs:
    """`hours`: those of newly finished runs (2026112503), by job. `late`: jobs whose other hours may have changed."""

    hours: dict[str, set[str]] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)


class ChangeFeed:
    """The changes of all jobs since the last read. All methods raise StoreUnavailable; a failed read is repeated."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read_at: datetime | None = None
        self._pointers: dict[str, set[str]] = {}
        """Those that the last read found, by shard."""
        self._marks: dict[str, dict[str, str]] = {}
        """The etag of each mark, by shard."""

    async def read(self, now: datetime) -> ChangedJobs:
        """Return what has changed since the last read. The first read is a beginning: what it returns is arbitrary."""
        oldest = min(now, self._read_at or now) - OVERLAP
        changed = ChangedJobs()
        pointers = {shard: await self._list_pointers(shard, oldest) for shard in SHARD_NAMES}
        marks = {shard: await self._list_marks(shard) for shard in SHARD_NAMES}
        for shard in SHARD_NAMES:
            for key in map(RunKey.from_row_key, pointers[shard] - self._pointers.get(shard, set())):
                changed.hours.setdefault(key.job, set()).add(format_hour(key.due_at))
            known_etags = self._marks.get(shard, {})
            changed.late |= {_job_of_mark(key) for key, etag in marks[shard].items() if known_etags.get(key) != etag}
        self._pointers, self._marks, self._read_at = pointers, marks, now
        return changed

    async def _list_pointers(self, shard: str, oldest: datetime) -> set[str]:
        until = DONE_PREFIX + reverse_ms(oldest)
        pages = iterate_pages(self._store, HISTORY_TABLE, shard, after=DONE_PREFIX, until=until, bodies=False)
        return {row.key async for rows in pages for row in rows}

    async def _list_marks(self, shard: str) -> dict[str, str]:
        after, until = LATE_PREFIX, LATE_PREFIX + PREFIX_END
        pages = iterate_pages(self._store, HISTORY_TABLE, shard, after=after, until=until, bodies=False)
        return {row.key: row.etag async for rows in pages for row in rows}


def _job_of_mark(key: str) -> str:
    return key[len(LATE_PREFIX) :].partition("~")[0]
