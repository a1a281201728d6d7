"""Since when each job has the schedule that it has: a changed one must not fire for the past. Used by the ticks.

One row a job, in one partition, written only when a schedule is new or another one. The row of a job that is disabled
or removed has no schedule, so that enabling it again begins at that moment. It still has the beginning of the job's
first version, which a backfill does not go back beyond.

    {"schedule": hash, "since": instant, "first": instant}    "first" only if it is another instant than "since"
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime

from jobs.schedules import Schedule
from scheduler.stores.port import LARGEST_PAGE, Insert, Put, Row, RowExists, Store

TABLE = "schedules"
_ALL = "all"
_AT_ONCE = 100
"""Rows of one apply: what Azure takes in one transaction."""
_ASKED_ALONE = 20
"""Changed jobs whose rows are read one by one; for more of them, all rows are listed."""

_Read = Callable[[], Awaitable[tuple[Mapping[str, Schedule | None], Mapping[str, Row]]]]
"""Gives the schedules, and the rows that are there of them."""


class ScheduleMarks:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def since(self, job: str) -> datetime | None:
        """Since when the job has the schedule that it has; None if it has none that is in force."""
        row = await self._store.get(TABLE, _ALL, job)
        kept = {} if row is None else json.loads(row.body)
        return datetime.fromisoformat(kept["since"]) if "schedule" in kept else None

    async def first(self, job: str) -> datetime | None:
        """Return the instant at which a host first had a schedule of the job in force; None if none ever had."""
        row = await self._store.get(TABLE, _ALL, job)
        return None if row is None else _first(json.loads(row.body))

    async def note(self, schedules: Iterable[tuple[str, Schedule]], now: datetime) -> Mapping[str, datetime]:
        """Remember these schedules and no others. Returns since when each of them is in force."""
        noted = dict(schedules)

        async def read() -> tuple[Mapping[str, Schedule | None], Mapping[str, Row]]:
            known = {row.key: row async for row in self._rows()}
            return {**dict.fromkeys(known), **noted}, known

        return await self._noted(read, now)

    async def change(self, schedules: Mapping[str, Schedule | None], now: datetime) -> Mapping[str, datetime]:
        """The same for these jobs alone; None: it is not planned any more."""

        async def read() -> tuple[Mapping[str, Schedule | None], Mapping[str, Row]]:
            if len(schedules) > _ASKED_ALONE:
                return schedules, {row.key: row async for row in self._rows()}
            rows = await asyncio.gather(*(self._store.get(TABLE, _ALL, job) for job in schedules))
            return schedules, {row.key: row for row in rows if row is not None}

        return await self._noted(read, now)

    async def _noted(self, read: _Read, now: datetime) -> Mapping[str, datetime]:
        while True:
            try:
                return await self._note(*await read(), now)
            except RowExists:
                continue  # another instance notes the same: whoever was first has it

    async def _note(
        self, schedules: Mapping[str, Schedule | None], known: Mapping[str, Row], now: datetime
    ) -> Mapping[str, datetime]:
        since: dict[str, datetime] = {}
        changes: list[Insert | Put] = []
        for job, schedule in schedules.items():
            row = known.get(job)
            kept = json.loads(row.body) if row is not None else {}
            if schedule is None:
                if "schedule" in kept:
                    changes.append(Put(TABLE, _ALL, job, _body(None, datetime.fromisoformat(kept["since"]), kept)))
                continue
            mark = _mark(schedule)
            if kept.get("schedule") == mark:
                # A mark from the future is of a clock that was wrong.
                since[job] = min(datetime.fromisoformat(kept["since"]), now)
            else:
                since[job] = now
                write = Insert if row is None else Put
                changes.append(write(TABLE, _ALL, job, _body(mark, now, kept)))
        for start in range(0, len(changes), _AT_ONCE):
            await self._store.apply(*changes[start : start + _AT_ONCE])
        return since

    async def _rows(self) -> AsyncIterator[Row]:
        after = ""
        while rows := await self._store.list(TABLE, _ALL, after=after, limit=LARGEST_PAGE):
            for row in rows:
                yield row
            after = rows[-1].key


def _body(mark: str | None, since: datetime, before: Mapping[str, str]) -> str:
    """A row's body, `before` being the one that it had. Older versions need "since" in each of them."""
    body = {} if mark is None else {"schedule": mark}
    body["since"] = since.isoformat()
    if before and (first := min(_first(before), since)) != since:
        body["first"] = first.isoformat()
    return json.dumps(body)


def _first(body: Mapping[str, str]) -> datetime:
    return min(datetime.fromisoformat(body[key]) for key in ("first", "since") if key in body)


def _mark(schedule: Schedule) -> str:
    return hashlib.sha256(json.dumps(schedule.spec, sort_keys=True, default=str).encode()).hexdigest()[:16]
