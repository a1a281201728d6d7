"""Since when each job has the schedule that it has: a changed one must not fire for the past. Used by the ticks.

One row a job, in one partition, written only when a schedule is new or another one. Disabled jobs have none, so that
enabling one again begins at that moment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime

from jobs.schedules import Schedule
from scheduler.stores.port import LARGEST_PAGE, Delete, Insert, Put, Row, RowExists, Store

TABLE = "schedules"
_ALL = "all"
_AT_ONCE = 100
"""Rows of one apply: what Azure takes in one transaction."""


class ScheduleMarks:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, schedules: Iterable[tuple[str, Schedule]], now: datetime) -> Mapping[str, datetime]:
        """Remember these schedules, forget others. Returns since when each of them is in force."""
        noted = dict(schedules)
        while True:
            try:
                return await self._note(noted, now)
            except RowExists:
                continue  # another instance notes the same: whoever was first has it

    async def _note(self, schedules: Mapping[str, Schedule], now: datetime) -> Mapping[str, datetime]:
        known = {row.key: row async for row in self._rows()}
        since: dict[str, datetime] = {}
        changes: list[Insert | Put | Delete] = []
        for job, schedule in schedules.items():
            mark = _mark(schedule)
            row = known.pop(job, None)
            kept = json.loads(row.body) if row is not None else {}
            if kept.get("schedule") == mark:
                # A mark from the future is of a clock that was wrong.
                since[job] = min(datetime.fromisoformat(kept["since"]), now)
            else:
                since[job] = now
                write = Insert if row is None else Put
                changes.append(write(TABLE, _ALL, job, json.dumps({"schedule": mark, "since": now.isoformat()})))
        changes += [Delete(TABLE, _ALL, job) for job in known]
        for start in range(0, len(changes), _AT_ONCE):
            await self._store.apply(*changes[start : start + _AT_ONCE])
        return since

    async def _rows(self) -> AsyncIterator[Row]:
        after = ""
        while rows := await self._store.list(TABLE, _ALL, after=after, limit=LARGEST_PAGE):
            for row in rows:
                yield row
            after = rows[-1].key


def _mark(schedule: Schedule) -> str:
    return hashlib.sha256(json.dumps(schedule.spec, sort_keys=True, default=str).encode()).hexdigest()[:16]
