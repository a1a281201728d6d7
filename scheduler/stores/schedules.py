"""The progress of the ticks, and since when the schedule of each job is in force.

A cursor is an instant that a late writer cannot move back. A changed schedule must not fire for the past, so each job
has an activation: one row a job, in one partition, written only when a schedule is new or changed. The row of a job
that is disabled or removed has no schedule, so that enabling it again activates it at that moment. It still has the
activation of the job's first version, which a backfill does not go back beyond.

    {"schedule": hash, "since": instant, "first": instant, "planned": instant}

"first" only if it differs from "since"; "planned" if the instants of the schedule until then were planned when it
changed, apart from the ticks.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from jobs.schedules import Schedule
from scheduler.stores.port import Insert, Row, RowExists, Store, Upsert
from scheduler.stores.rows import decode_body, decode_json, encode_json, iterate_pages
from scheduler.stores.table import Table

SCHEDULES_TABLE = "schedules"
_PARTITION = "all"
_ROWS_PER_APPLY = 100
"""Rows of one apply: Azure's limit for a transaction."""
_COMPARED_INLINE = 100
"""Schedules that are compared with their rows at once. More are compared in a thread, so that runs start in time."""
_MAX_SINGLE_READS = 20
"""Changed jobs whose rows are read one by one; for more of them, all rows are listed."""

_ReadSchedules = Callable[[], Awaitable[tuple[Mapping[str, Schedule | None], Mapping[str, Row]]]]
"""Returns the schedules, and their existing rows."""


class ScheduleActivations:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: Table[Mapping[str, str]] = Table(store, SCHEDULES_TABLE, _PARTITION, encode_json, decode_body)

    async def find_since(self, job: str) -> datetime | None:
        """Return since when the job's schedule is in force; None if it has none."""
        stored = await self._rows.find(job) or {}
        return datetime.fromisoformat(stored["since"]) if "schedule" in stored else None

    async def find_first(self, job: str) -> datetime | None:
        """Return the instant at which a host first had a schedule of the job in force; None if none ever had."""
        stored = await self._rows.find(job)
        return None if stored is None else _first_activation(stored)

    async def record_all(self, schedules: Iterable[tuple[str, Schedule]], now: datetime) -> Mapping[str, datetime]:
        """Record these schedules, and that no others are in force. Return since when each of them is in force."""
        recorded = dict(schedules)

        async def read() -> tuple[Mapping[str, Schedule | None], Mapping[str, Row]]:
            rows = {row.key: row async for row in self._iterate_rows()}
            return {**dict.fromkeys(rows), **recorded}, rows

        return await self._record_retrying(read, now)

    async def record_changes(self, schedules: Mapping[str, Schedule | None], now: datetime) -> Mapping[str, datetime]:
        """Record the schedules of these jobs, and return since when each is in force.

        None: the job is not planned any more. Other jobs do not change.
        """

        async def read() -> tuple[Mapping[str, Schedule | None], Mapping[str, Row]]:
            return schedules, await self._read_rows(schedules)

        return await self._record_retrying(read, now)

    async def record_planned(self, schedules: Mapping[str, Schedule], until: datetime) -> None:
        """Record that all instants of these schedules until then are planned, unless they have changed since."""
        changes: list[Upsert] = []
        for job, row in (await self._read_rows(schedules)).items():
            stored = decode_json(row.body)
            if job in schedules and stored.get("schedule") == _schedule_hash(schedules[job]):
                changes.append(self._rows.upsert(job, {**stored, "planned": until.isoformat()}))
        await self._apply_all(changes)

    async def find_planned_until(
        self, schedules: Mapping[str, Schedule], cursor: datetime, last_tick: datetime
    ) -> Mapping[str, datetime]:
        """Return until when all instants of these schedules were planned; no instant for one that is not in force.

        `cursor`: the end of the last tick, which planned the schedules that were in force when it started.
        """
        planned: dict[str, datetime] = {}
        for job, row in (await self._read_rows(schedules)).items():
            stored = decode_json(row.body)
            if job not in schedules or stored.get("schedule") != _schedule_hash(schedules[job]):
                continue
            if datetime.fromisoformat(stored["since"]) <= last_tick:
                planned[job] = cursor
            elif "planned" in stored:
                planned[job] = datetime.fromisoformat(stored["planned"])
        return planned

    async def find_planned(self, jobs: Collection[str]) -> Mapping[str, datetime]:
        """Return what `record_planned` has recorded of these jobs."""
        stored = {job: decode_json(row.body) for job, row in (await self._read_rows(jobs)).items() if job in jobs}
        return {job: datetime.fromisoformat(body["planned"]) for job, body in stored.items() if "planned" in body}

    async def _read_rows(self, jobs: Collection[str]) -> Mapping[str, Row]:
        """Return the rows of these jobs, perhaps with those of others."""
        if len(jobs) > _MAX_SINGLE_READS:
            return {row.key: row async for row in self._iterate_rows()}
        rows = await asyncio.gather(*(self._store.get_row(SCHEDULES_TABLE, _PARTITION, job) for job in jobs))
        return {row.key: row for row in rows if row is not None}

    async def _record_retrying(self, read: _ReadSchedules, now: datetime) -> Mapping[str, datetime]:
        while True:
            try:
                return await self._record(*await read(), now)
            except RowExists:
                continue  # another instance records the same: the first one wins

    async def _record(
        self, schedules: Mapping[str, Schedule | None], rows: Mapping[str, Row], now: datetime
    ) -> Mapping[str, datetime]:
        if len(schedules) <= _COMPARED_INLINE:
            since, changes = _compare(schedules, rows, now)
        else:
            since, changes = await asyncio.to_thread(_compare, schedules, rows, now)
        await self._apply_all(changes)
        return since

    async def _apply_all(self, changes: Sequence[Insert | Upsert]) -> None:
        for start in range(0, len(changes), _ROWS_PER_APPLY):
            await self._store.apply(*changes[start : start + _ROWS_PER_APPLY])

    async def _iterate_rows(self) -> AsyncIterator[Row]:
        async for page in iterate_pages(self._store, SCHEDULES_TABLE, _PARTITION):
            for row in page:
                yield row


def _compare(
    schedules: Mapping[str, Schedule | None], rows: Mapping[str, Row], now: datetime
) -> tuple[Mapping[str, datetime], Sequence[Insert | Upsert]]:
    """Return since when each schedule is in force, and the changes of rows."""
    since: dict[str, datetime] = {}
    changes: list[Insert | Upsert] = []
    for job, schedule in schedules.items():
        row = rows.get(job)
        stored = decode_json(row.body) if row is not None else {}
        if schedule is None:
            if "schedule" in stored:
                body = _encode_row(None, datetime.fromisoformat(stored["since"]), stored)
                changes.append(Upsert(SCHEDULES_TABLE, _PARTITION, job, body))
            continue
        mark = _schedule_hash(schedule)
        if stored.get("schedule") == mark:
            # An activation in the future comes from a wrong clock.
            since[job] = min(datetime.fromisoformat(stored["since"]), now)
        else:
            since[job] = now
            write = Insert if row is None else Upsert
            changes.append(write(SCHEDULES_TABLE, _PARTITION, job, _encode_row(mark, now, stored)))
    return since, changes


def _encode_row(mark: str | None, since: datetime, before: Mapping[str, str]) -> str:
    """Return a row's body, `before` being its former one. Older versions need "since" in each of them."""
    body = {} if mark is None else {"schedule": mark}
    body["since"] = since.isoformat()
    if before and (first := min(_first_activation(before), since)) != since:
        body["first"] = first.isoformat()
    return encode_json(body)


def _first_activation(body: Mapping[str, str]) -> datetime:
    return min(datetime.fromisoformat(body[key]) for key in ("first", "since") if key in body)


def _schedule_hash(schedule: Schedule) -> str:
    return hashlib.sha256(json.dumps(schedule.spec, sort_keys=True, default=str).encode()).hexdigest()[:16]


CURSORS_TABLE = "cursors"
PLANNED_UNTIL_CURSOR = "planned-until"
"""The cursor of the ticks: everything due until then was dispatched."""
STRANDED_CURSOR = "stranded-until"
"""The cursor of the queued runs that the Functions host has checked: those due until then are not sent again."""
STARTED_CURSOR = "started-at"
"""The first tick after the latest gap in which the scheduler did not run."""
MAX_PLANNING_GAP = timedelta(minutes=2)
"""From the end of what a tick has planned to the next tick. After a longer gap, the scheduler has started again."""
_INSTANT_KEY = "instant"


class Cursors:
    """One row a cursor. All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, name: str) -> datetime | None:
        """Return None if it was never advanced."""
        return await self._position(name).find(_INSTANT_KEY)

    async def advance(self, name: str, instant: datetime) -> datetime:
        """Move it to `instant` unless it is later already. Return its position."""
        return await self._move_to(name, instant, lambda position: position >= instant)

    async def rewind(self, name: str, instant: datetime) -> datetime:
        """Move it back to `instant`: a wrong clock had advanced it. Return its position."""
        return await self._move_to(name, instant, lambda position: position <= instant)

    async def record_start(self, now: datetime) -> None:
        """Record that the scheduler starts now."""
        if await self.advance(STARTED_CURSOR, now) > now:
            await self.rewind(STARTED_CURSOR, now)

    async def find_start(self, now: datetime) -> datetime | None:
        """Return the latest start, and record it if ticks have been missing until now. None: it is not known."""
        planned_until, started_at = await self.read(PLANNED_UNTIL_CURSOR), await self.read(STARTED_CURSOR)
        is_gap = planned_until is not None and planned_until + MAX_PLANNING_GAP < now
        if planned_until is not None and is_gap and (started_at is None or started_at <= planned_until):
            await self.record_start(now)
            return now
        # A start in the future was recorded before the clock was set back.
        return started_at if started_at is not None and started_at <= now else None

    async def _move_to(self, name: str, instant: datetime, is_reached: Callable[[datetime], bool]) -> datetime:
        def move(position: datetime | None) -> datetime:
            return position if position is not None and is_reached(position) else instant

        _, position = await self._position(name).update(_INSTANT_KEY, move)
        return position or instant

    def _position(self, name: str) -> Table[datetime]:
        return Table(self._store, CURSORS_TABLE, name, encode_instant, lambda row: decode_instant(row.body))


def encode_instant(instant: datetime) -> str:
    """Return the body of a cursor's row."""
    return encode_json({"instant": instant.astimezone(UTC).isoformat()})


def decode_instant(body: str) -> datetime:
    """Return the instant of a cursor's row."""
    return datetime.fromisoformat(decode_json(body)["instant"])
