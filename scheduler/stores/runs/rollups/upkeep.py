"""Regular work on rollups: complete days, expiry, and what older versions left.

The progress of each partition is stored, so that the work is done once a day, by whichever process is first.

Older versions left finished runs that no rollup counts, and uptime samples of runs that they deleted. A run that is
counted has a mark in its row, written in the transaction that counts it, so that the work can end anywhere and be
repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from jobs.runs import Run
from jobs.runs.uptime import Uptime, UptimeSegment
from scheduler.stores.port import MAX_PAGE, Replace, Row, RowChanged, RowExists, Store, Upsert
from scheduler.stores.rows import PREFIX_END, decode_json, encode_json
from scheduler.stores.runs.attempt_codec import from_microseconds, to_microseconds
from scheduler.stores.runs.codec import COUNTED, RunState, decode_record, mark_counted
from scheduler.stores.runs.keys import HISTORY_TABLE, RUN_PREFIX, SHARD_NAMES, RunKey, instant_before
from scheduler.stores.runs.rollups.days import RollupDays, write_change
from scheduler.stores.runs.rollups.hours import HourCounts
from scheduler.stores.runs.rollups.keys import (
    DAY,
    HOUR_PREFIX,
    OLD_HOUR_PREFIX,
    STATE_KEY,
    delete_late_marks,
    format_day,
    format_hour,
    hour_of,
    job_of,
    parse_hour,
)
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
        has_counted = False
        for _ in range(_PAGES):
            rows = await self._store.list_rows(
                HISTORY_TABLE, shard, after=after or RUN_PREFIX, until=RUN_PREFIX + PREFIX_END, limit=_RUNS_PER_PAGE
            )
            if not rows:
                return CountingProgress(None, has_counted)
            runs = uncounted_runs(rows)
            has_counted = has_counted or bool(runs)
            for (job, hour), some in groupby(runs, lambda one: _hour_row(one[0])):
                together = [*some]
                for start in range(0, len(together), _RUNS_PER_GROUP):
                    await self._count(shard, f"{HOUR_PREFIX}{job}~{hour}", together[start : start + _RUNS_PER_GROUP])
            after = rows[-1].key
        return CountingProgress(after, has_counted)

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
            HISTORY_TABLE, shard, after=OLD_HOUR_PREFIX, until=OLD_HOUR_PREFIX + PREFIX_END, limit=MAX_PAGE
        ):
            for (job, day), some in groupby(rows, lambda row: (job_of(row.key), hour_of(row.key)[:8])):
                together = [*some]
                hours = {hour_of(row.key)[8:]: decode_old_hour(row) for row in together}
                await self._days.add(job, day, hours, together)


def uncounted_runs(rows: Iterable[Row]) -> list[tuple[Row, Run]]:
    """Return the finished runs among these rows of runs that no rollup counts."""
    uncounted: list[tuple[Row, Run]] = []
    for row in rows:
        if _FINISHED_MARK in row.body and decode_json(row.body).get(COUNTED):
            continue
        record = decode_record(row)
        if record.state is RunState.FINISHED and record.run is not None:
            uncounted.append((row, record.run))
    return uncounted


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


FOLD_DELAY = timedelta(hours=2)
"""After the end of a day, before its hours are summed up: by then most runs that were due in it are finished."""
ROLLUP_AGE = 400 * 86400.0
_COUNTED, _POSITION, _COMPLETE_SINCE, _FOLDED = "counted", "position", "complete_since", "folded"
"""Whether the runs of older versions are counted; the last of them; from when on all runs are counted, if there were
any; the day before which all hours are summed up.
"""


async def count_runs_again(store: Store) -> None:
    """Let the next start count the runs that older programs have finished. Raises StoreUnavailable."""
    for shard in SHARD_NAMES:
        row = await store.get_row(HISTORY_TABLE, shard, STATE_KEY)
        if row is not None:
            state = {name: value for name, value in decode_json(row.body).items() if name not in (_COUNTED, _POSITION)}
            await store.apply(Upsert(HISTORY_TABLE, shard, STATE_KEY, encode_json(state)))


class RollupUpkeep:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._days = RollupDays(store)
        self._uncounted = UncountedRuns(store)
        self._states: dict[str, Mapping[str, Any]] = {}

    async def count_older_versions(self, now: datetime, age_s: float) -> None:
        """Count the runs that older versions finished, once. Call it before runs are deleted.

        `age_s`: for how many seconds they are retained.
        """
        complete_since = to_microseconds(instant_before(now, age_s))
        for shard in SHARD_NAMES:
            if await self.has_counted(shard):
                continue
            state = self._states[shard]
            progress = CountingProgress(state.get(_POSITION, ""), _COMPLETE_SINCE in state)
            while progress.position is not None:
                progress = await self._uncounted.count_from(shard, progress.position)
                since = {_COMPLETE_SINCE: complete_since} if progress.found else {}
                await self._save(shard, {_POSITION: progress.position or "", **since})
            await self._uncounted.move_old_hours(shard)
            await self._save(shard, {_COUNTED: 1})

    async def update_days(self, now: datetime, age_s: float) -> None:
        """Sum up the hours of days that are over, and delete days older than `age_s` seconds."""
        day, oldest = format_day(now - FOLD_DELAY), format_day(instant_before(now, age_s))
        for shard in SHARD_NAMES:
            cached = self._states.get(shard, {})
            if cached.get(_FOLDED, "") < day and (await self._read(shard)).get(_FOLDED, "") < day:
                await self._days.fold_before(shard, day)
                await self._days.delete_before(shard, oldest)
                await delete_late_marks(self._store, shard, day)
                await self._save(shard, {_FOLDED: day})

    async def find_lag(self, now: datetime) -> timedelta:
        """Return for how long hours that can be summed up have been waiting; zero if no process has started yet."""
        day = format_day(now - FOLD_DELAY)
        oldest = day
        for shard in SHARD_NAMES:
            folded = self._states.get(shard, {}).get(_FOLDED, "")
            if folded < day:
                folded = (await self._read(shard)).get(_FOLDED, "")
            if folded:
                oldest = min(oldest, folded)
        due_at = parse_hour(oldest) + DAY + FOLD_DELAY
        return max(timedelta(), now - due_at)

    async def has_counted(self, shard: str) -> bool:
        """Return whether the runs of older versions are counted."""
        cached = self._states.get(shard, {})
        return bool(cached.get(_COUNTED) or (await self._read(shard)).get(_COUNTED))

    async def find_complete_since(self, shard: str, otherwise: datetime) -> datetime | None:
        """Return the instant from which every run of a shard is counted: None if that is always so, `otherwise` as long
        as the runs of older versions are not counted.
        """
        if not await self.has_counted(shard):
            return otherwise
        state = self._states[shard]
        return from_microseconds(state[_COMPLETE_SINCE]) if _COMPLETE_SINCE in state else None

    async def _read(self, shard: str) -> Mapping[str, Any]:
        row = await self._store.get_row(HISTORY_TABLE, shard, STATE_KEY)
        self._states[shard] = {} if row is None else decode_json(row.body)
        return self._states[shard]

    async def _save(self, shard: str, progress: Mapping[str, Any]) -> None:
        state = {**await self._read(shard), **progress}
        await self._store.apply(Upsert(HISTORY_TABLE, shard, STATE_KEY, encode_json(state)))
        self._states[shard] = state
