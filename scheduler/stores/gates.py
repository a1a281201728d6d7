"""What keeps runs from their targets: pauses of jobs, the states of circuits, and requests to end a run.

Pauses have one row a job at most, all in one partition, so that one read returns all of them. A row whose end has
passed stays until the job is paused again: from it a heartbeat knows that no ping was due meanwhile.

Cancellations are read by the process that performs the run, if it lasts longer than a few seconds. One row a run, in
one partition, removed when the run is over: mostly the partition is empty, which one read shows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from jobs.formats import format_instant
from scheduler.stores.port import (
    MAX_PAGE,
    Delete,
    Insert,
    Replace,
    Row,
    RowChanged,
    RowExists,
    Store,
    StoreError,
    Upsert,
)
from scheduler.stores.rows import decode_json, encode_json, list_all_rows

if TYPE_CHECKING:
    from jobs.schedules import Schedule

_log = logging.getLogger("scheduler.pauses")

PAUSES_TABLE = "pauses"
_PAUSES_PARTITION = "jobs"
PAUSES_REFRESH_INTERVAL = 5.0
"""Seconds for which a read of the store is valid. A change by this process is valid at once."""
PAUSE_KNOWN_AFTER = timedelta(seconds=PAUSES_REFRESH_INTERVAL + 1)
"""By then every process that runs jobs knows of a pause, apart from the duration of the read."""


@dataclass(frozen=True, slots=True)
class Pause:
    """`until`: its end, exclusive; None: until the job is resumed."""

    job: str
    since: datetime
    until: datetime | None = None
    reason: str = ""

    def is_active_at(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    def excludes(self, schedule: Schedule, at: datetime) -> bool:
        """Return whether a due instant is not even planned: those in the pause except the first ones.

        The first one by which every process knows of the pause is planned, and recorded as skipped with the reason. It
        stands for all that follow: a row for each would be many for a job of each second.
        """
        known = self.since + PAUSE_KNOWN_AFTER
        return known < at and self.is_active_at(at) and at != schedule.next_after(known)

    def __str__(self) -> str:
        """`paused until 2026-11-25 14:00:00Z: deployment`."""
        end = f" until {format_instant(self.until)}" if self.until is not None else " until it is resumed"
        return f"paused{end}" + (f": {self.reason}" if self.reason else "")


class OtherPauses(Protocol):
    """Pauses that are not rows of this store: those of maintenance windows. A job that an operator paused has both."""

    async def refresh(self) -> None:
        """Read what they depend on. Raises nothing."""
        ...

    def list_active(self, now: datetime) -> Mapping[str, Pause]: ...

    def find_ended(self, job: str, now: datetime) -> Pause | None: ...


class Pauses:
    """The pauses in force, cached for a few seconds. `set_pause` and `resume` raise StoreUnavailable.

    `others`: set once the jobs are known.
    """

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._cached: dict[str, Pause] = {}
        self._expires_at: float | None = None
        self._lock = asyncio.Lock()
        self.others: OtherPauses | None = None

    async def list_active(self, now: datetime, *, fresh: bool = False) -> Mapping[str, Pause]:
        """Return the pauses in force, by job; a change by another process appears after PAUSES_REFRESH_INTERVAL at the
        latest.

        `fresh` reads the store in any case. While it is unavailable, the cached pauses stay in force.
        """
        if fresh or self._is_stale():
            async with self._lock:
                if fresh or self._is_stale():
                    await self._refresh()
        if self.others is not None:
            await self.others.refresh()
        return self.list_cached(now)

    async def find_active(self, job: str, now: datetime) -> Pause | None:
        """Return the pause of a job that is in force, from the store. Raises StoreUnavailable."""
        row = await self._store.get_row(PAUSES_TABLE, _PAUSES_PARTITION, job)
        pause = None if row is None else _read_pause(row)
        return pause if pause is not None and pause.is_active_at(now) else None

    def list_cached(self, now: datetime) -> Mapping[str, Pause]:
        """Return the same from the cache, at once."""
        active = {job: pause for job, pause in self._cached.items() if pause.is_active_at(now)} if self._cached else {}
        others = {} if self.others is None else self.others.list_active(now)
        return {**others, **active} if others else active

    def find_ended(self, job: str, now: datetime) -> Pause | None:
        """Return the last pause of the job if it has ended, from the cache."""
        pause = self._cached.get(job)
        ended = None if pause is None or pause.is_active_at(now) else pause
        other = None if self.others is None else self.others.find_ended(job, now)
        if ended is None or ended.until is None or (other is not None and other.until and other.until > ended.until):
            return other
        return ended

    async def set_pause(self, pause: Pause) -> None:
        """Pause the job. Replaces a pause that it may have."""
        body = {"since": pause.since.isoformat(), "until": pause.until and pause.until.isoformat()}
        if pause.reason:
            body["reason"] = pause.reason
        async with self._lock:
            await self._store.apply(Upsert(PAUSES_TABLE, _PAUSES_PARTITION, pause.job, encode_json(body)))
            self._cached[pause.job] = pause

    async def resume(self, job: str, now: datetime) -> None:
        """Resume the job. Does nothing if it is not paused."""
        pause = await self.find_active(job, now)
        if pause is not None:
            await self.set_pause(replace(pause, until=now))

    async def remove(self, job: str) -> None:
        """Delete the pause of a job that does not exist any more, whether it is in force or not."""
        async with self._lock:
            row = await self._store.get_row(PAUSES_TABLE, _PAUSES_PARTITION, job)
            if row is not None:
                await self._store.apply(Delete(PAUSES_TABLE, _PAUSES_PARTITION, job, row.etag))
            self._cached.pop(job, None)

    def _is_stale(self) -> bool:
        return self._expires_at is None or self._monotonic() >= self._expires_at

    async def _refresh(self) -> None:
        self._expires_at = self._monotonic() + PAUSES_REFRESH_INTERVAL
        try:
            self._cached = await self._read_all()
        except StoreError as error:
            _log.warning("could not read the pauses: %s; those read before stay in force", error)

    async def _read_all(self) -> dict[str, Pause]:
        return {row.key: _read_pause(row) for row in await list_all_rows(self._store, PAUSES_TABLE, _PAUSES_PARTITION)}


def _read_pause(row: Row) -> Pause:
    body = decode_json(row.body)
    until = body.get("until")
    return Pause(
        job=row.key,
        since=datetime.fromisoformat(body["since"]),
        until=None if until is None else datetime.fromisoformat(until),
        reason=body.get("reason", ""),
    )


CIRCUITS_TABLE = "circuits"
_STATE_KEY = "state"


class StoredCircuits:
    """One row a circuit, in a separate partition each, so that busy circuits do not compete."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, key: str) -> tuple[str | None, str | None]:
        """Return the stored text and its etag; (None, None) if none is stored. Raises StoreUnavailable."""
        row = await self._store.get_row(CIRCUITS_TABLE, key, _STATE_KEY)
        return (None, None) if row is None else (row.body, row.etag)

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        """Return False unless the stored state has this `etag` (None: none is stored). Raises StoreUnavailable."""
        change = (
            Insert(CIRCUITS_TABLE, key, _STATE_KEY, state)
            if etag is None
            else Replace(CIRCUITS_TABLE, key, _STATE_KEY, state, etag)
        )
        try:
            await self._store.apply(change)
        except (RowExists, RowChanged):
            return False
        return True


CANCELLATIONS_TABLE = "cancellations"
_CANCELLATIONS_PARTITION = "runs"
CANCELLATION_LIFETIME = timedelta(hours=1)
"""No run lasts that long: the process that should have read the row has ended."""


class Cancellations:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def request(self, run_id: str, source: str, now: datetime) -> None:
        """Let the process that performs the run end it. `source`: how the request came, such as `over the API`."""
        body = encode_json({"asked": source, "at": now.isoformat()})
        await self._store.apply(Upsert(CANCELLATIONS_TABLE, _CANCELLATIONS_PARTITION, run_id, body))

    async def list_requested(self, now: datetime) -> Mapping[str, str]:
        """Return the source of each request, by the run's id. Expired rows are removed."""
        rows = await self._store.list_rows(CANCELLATIONS_TABLE, _CANCELLATIONS_PARTITION, limit=MAX_PAGE)
        requests: dict[str, str] = {}
        for row in rows:
            body = decode_json(row.body)
            if now - datetime.fromisoformat(body["at"]) > CANCELLATION_LIFETIME:
                await self.remove(row.key)
            else:
                requests[row.key] = body["asked"]
        return requests

    async def remove(self, run_id: str) -> None:
        """Remove the request: the run is over. Does nothing if there is no row."""
        await self._store.apply(Delete(CANCELLATIONS_TABLE, _CANCELLATIONS_PARTITION, run_id))
