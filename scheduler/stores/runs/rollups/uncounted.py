"""What older versions left: finished runs that no rollup counts, and uptime samples of runs that they deleted.

Used by runs.rollups.reading, and by runs.rollups.upkeep, which counts them once. A run that is counted has a mark in
its row, written in the transaction that counts it, so that the work can end anywhere and be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from jobs.runs import Run
from jobs.runs.uptime import Uptime, UptimeSegment
from scheduler.stores.port import LARGEST_PAGE, Replace, Row, RowChanged, RowExists, Store
from scheduler.stores.rows import decode_json
from scheduler.stores.runs.codec import COUNTED, RunState, decode_record, mark_counted
from scheduler.stores.runs.keys import HISTORY_TABLE, PREFIX_END, RUN_PREFIX, RunKey
from scheduler.stores.runs.rollups.days import RollupDays, write_change
from scheduler.stores.runs.rollups.hour_counts import HourCounts
from scheduler.stores.runs.rollups.keys import HOUR_PREFIX, OLD_HOUR_PREFIX, format_hour, hour_of, job_of
from scheduler.stores.runs.rollups.tally import Rollup, Tally

_RUNS_PER_PAGE = 200
_PAGES = 20
_RUNS_PER_GROUP = 90
"""Runs that one transaction marks."""
_FINISHED_MARK = f'"{COUNTED}":1'


class CountingProgress(NamedTuple):
    """`position`: where to continue; None after the last run. `found`: whether some runs were not counted."""

    position: str | None
    found: bool


class UncountedRuns:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._days = RollupDays(store)

    async def count_from(self, shard: str, after: str) -> CountingProgress:
        """Count the runs of some pages of a shard, from this position."""
        found = False
        for _ in range(_PAGES):
            rows = await self._store.list_rows(
                HISTORY_TABLE, shard, after=after or RUN_PREFIX, until=RUN_PREFIX + PREFIX_END, limit=_RUNS_PER_PAGE
            )
            if not rows:
                return CountingProgress(None, found)
            runs = uncounted_runs(rows)
            found = found or bool(runs)
            for (job, hour), some in groupby(runs, lambda one: _hour_row(one[0])):
                together = [*some]
                for start in range(0, len(together), _RUNS_PER_GROUP):
                    await self._count(shard, f"{HOUR_PREFIX}{job}~{hour}", together[start : start + _RUNS_PER_GROUP])
            after = rows[-1].key
        return CountingProgress(after, found)

    async def _count(self, shard: str, hour_key: str, runs: Sequence[tuple[Row, Run]]) -> None:
        pending = {row.key: (row, run) for row, run in runs}
        while pending:
            hour = await self._store.get_row(HISTORY_TABLE, shard, hour_key)
            counts = HourCounts() if hour is None else HourCounts.decode(hour.body)
            # The newest first, as the rows are: each one is before those that are counted.
            for _, run in pending.values():
                counts.add_run(run)
            changes = [
                Replace(HISTORY_TABLE, shard, row.key, mark_counted(row.body), row.etag) for row, _ in pending.values()
            ]
            try:
                await self._store.apply(*changes, write_change(hour, shard, hour_key, counts.encode()))
            except (RowExists, RowChanged) as error:
                # The run was counted or deleted by another process, or the hour got another run.
                pending.pop(error.key, None)
            else:
                return

    async def move_old_hours(self, shard: str) -> None:
        """Add the uptime samples of runs that older versions deleted to the days."""
        while rows := await self._store.list_rows(
            HISTORY_TABLE, shard, after=OLD_HOUR_PREFIX, until=OLD_HOUR_PREFIX + PREFIX_END, limit=LARGEST_PAGE
        ):
            for (job, day), some in groupby(rows, lambda row: (job_of(row.key), hour_of(row.key)[:8])):
                together = [*some]
                hours = {hour_of(row.key)[8:]: decode_old_hour(row) for row in together}
                await self._days.add(job, day, hours, together)


def uncounted_runs(rows: Iterable[Row]) -> list[tuple[Row, Run]]:
    """Return the finished runs among these rows of runs that no rollup counts."""
    found: list[tuple[Row, Run]] = []
    for row in rows:
        if _FINISHED_MARK in row.body and decode_json(row.body).get(COUNTED):
            continue
        record = decode_record(row)
        if record.state is RunState.FINISHED and record.run is not None:
            found.append((row, record.run))
    return found


def sum_runs(runs: Iterable[Run]) -> dict[datetime, HourCounts]:
    """Return the counts of runs by the beginning of their hour."""
    found: dict[datetime, HourCounts] = {}
    for run in sorted(runs, key=lambda one: one.started_at):
        hour = run.due_at.replace(minute=0, second=0, microsecond=0)
        found.setdefault(hour, HourCounts()).add_run(run)
    return found


def decode_old_hour(row: Row) -> Rollup:
    """Read the uptime samples of deleted runs. Those that were down count as failed: the stored text does not contain
    their outcome.
    """
    first, last, began, ended, seconds, outages, *numbers = decode_json(row.body)
    uptime = Uptime(*numbers)
    tally = Tally()
    tally.outcomes[0], tally.outcomes[1] = uptime.up, uptime.down
    instants = datetime.fromisoformat(first), datetime.fromisoformat(last)
    return Rollup(tally, UptimeSegment(*instants, began, ended, seconds, outages, uptime))


def _hour_row(row: Row) -> tuple[str, str]:
    key = RunKey.from_row_key(row.key)
    return key.job, format_hour(key.due_at)
