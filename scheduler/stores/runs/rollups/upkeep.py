"""Regular work on rollups: complete days, expiry, and what older versions left. Used by runs.repository.

The progress of each partition is stored, so that the work is done once a day, by whichever process is first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from scheduler.stores.port import Store, Upsert
from scheduler.stores.rows import decode_json, encode_json
from scheduler.stores.runs.attempt_codec import from_microseconds, to_microseconds
from scheduler.stores.runs.keys import HISTORY_TABLE, SHARD_NAMES, instant_before
from scheduler.stores.runs.rollups.changed_jobs import delete_late_marks
from scheduler.stores.runs.rollups.days import RollupDays
from scheduler.stores.runs.rollups.keys import DAY, STATE_KEY, format_day, parse_hour
from scheduler.stores.runs.rollups.uncounted import CountingProgress, UncountedRuns

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
