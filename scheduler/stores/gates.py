"""What keeps runs from their targets: pauses of jobs, the states of circuits, and requests to end a run.

Pauses have one row a job at most, all in one partition, so that one read returns all of them. A row whose end has
passed stays until the job is paused again: from it a heartbeat knows that no ping was due meanwhile.

Cancellations are read by the process that performs the run, if it lasts longer than a few seconds. One row a run, in
one partition, removed when the run is over: mostly the partition is empty, which one read shows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from jobs.formats import format_instant
from scheduler.stores.port import (
    MAX_PAGE,
    Row,
    Store,
    StoreError,
)
from scheduler.stores.rows import decode_json, encode_json, instant_text, read_instant
from scheduler.stores.table import READ_INTERVAL, CachedRead, Table

if TYPE_CHECKING:
    from jobs.schedules import Schedule

_log = logging.getLogger("scheduler.pauses")

PAUSES_TABLE = "pauses"
_PAUSES_PARTITION = "jobs"
PAUSE_KNOWN_AFTER = timedelta(seconds=READ_INTERVAL + 1)
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
        known_at = self.since + PAUSE_KNOWN_AFTER
        return known_at < at and self.is_active_at(at) and at != schedule.next_after(known_at)

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
        self._rows = Table(store, PAUSES_TABLE, _PAUSES_PARTITION, _encode_pause, _decode_pause)
        self._cache: CachedRead[dict[str, Pause]] = CachedRead(self._read_all, {}, monotonic, _log_failed_read)
        self.others: OtherPauses | None = None

    async def list_active(self, now: datetime, *, fresh: bool = False) -> Mapping[str, Pause]:
        """Return the pauses in force, by job; a change by another process appears after READ_INTERVAL at the latest.

        `fresh` reads the store in any case. While it is unavailable, the cached pauses stay in force.
        """
        await self._cache.refresh(fresh=fresh)
        if self.others is not None:
            await self.others.refresh()
        return self.list_cached(now)

    async def find_active(self, job: str, now: datetime) -> Pause | None:
        """Return the pause of a job that is in force, from the store. Raises StoreUnavailable."""
        pause = await self._rows.find(job)
        return pause if pause is not None and pause.is_active_at(now) else None

    def list_cached(self, now: datetime) -> Mapping[str, Pause]:
        """Return the pauses in force as they were last read, by job."""
        cached = self._cache.value
        active = {job: pause for job, pause in cached.items() if pause.is_active_at(now)} if cached else {}
        others = {} if self.others is None else self.others.list_active(now)
        return {**others, **active} if others else active

    def find_ended(self, job: str, now: datetime) -> Pause | None:
        """Return the last pause of the job if it has ended, from the cache."""
        pause = self._cache.value.get(job)
        ended = None if pause is None or pause.is_active_at(now) else pause
        other = None if self.others is None else self.others.find_ended(job, now)
        if ended is None or ended.until is None or (other is not None and other.until and other.until > ended.until):
            return other
        return ended

    async def set_pause(self, pause: Pause) -> None:
        """Pause the job. Replaces a pause that it may have."""
        async with self._cache.lock:
            await self._rows.store(pause.job, pause)
            self._cache.value[pause.job] = pause

    async def resume(self, job: str, now: datetime) -> None:
        """Resume the job. Does nothing if it is not paused."""
        pause = await self.find_active(job, now)
        if pause is not None:
            await self.set_pause(replace(pause, until=now))

    async def remove(self, job: str) -> None:
        """Delete the pause of a job that does not exist any more, whether it is in force or not."""
        async with self._cache.lock:
            stored = await self._rows.get(job)
            if stored is not None:
                await self._rows.remove(job, etag=stored.etag)
            self._cache.value.pop(job, None)

    async def _read_all(self) -> dict[str, Pause]:
        return {pause.job: pause for pause in await self._rows.list_values()}


def _log_failed_read(error: StoreError) -> None:
    _log.warning("could not read the pauses: %s; those read before stay in force", error)


def _encode_pause(pause: Pause) -> str:
    body = {"since": pause.since.isoformat(), "until": instant_text(pause.until)}
    return encode_json({**body, "reason": pause.reason} if pause.reason else body)


def _decode_pause(row: Row) -> Pause:
    body = decode_json(row.body)
    since = datetime.fromisoformat(body["since"])
    return Pause(row.key, since, read_instant(body.get("until")), body.get("reason", ""))


CIRCUITS_TABLE = "circuits"
_STATE_KEY = "state"


class StoredCircuits:
    """One row a circuit, in a separate partition each, so that busy circuits do not compete."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, key: str) -> tuple[str | None, str | None]:
        """Return the stored text and its etag; (None, None) if none is stored. Raises StoreUnavailable."""
        stored = await self._rows(key).get(_STATE_KEY)
        return (None, None) if stored is None else (stored.value, stored.etag)

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        """Return False unless the stored state has this `etag` (None: none is stored). Raises StoreUnavailable."""
        return await self._rows(key).try_write(_STATE_KEY, state, etag) is not None

    def _rows(self, key: str) -> Table[str]:
        return Table(self._store, CIRCUITS_TABLE, key, str, lambda row: row.body)


CANCELLATIONS_TABLE = "cancellations"
_CANCELLATIONS_PARTITION = "runs"
CANCELLATION_LIFETIME = timedelta(hours=1)
"""No run lasts that long: the process that should have read the row has ended."""


class Cancellations:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._rows = Table(
            store, CANCELLATIONS_TABLE, _CANCELLATIONS_PARTITION, _encode_cancellation, _decode_cancellation
        )

    async def request(self, run_id: str, source: str, now: datetime) -> None:
        """Let the process that performs the run end it. `source`: how the request came, such as `over the API`."""
        await self._rows.store(run_id, _Cancellation(run_id, source, now))

    async def list_requested(self, now: datetime) -> Mapping[str, str]:
        """Return the source of each request, by the run's id. Expired rows are removed."""
        requests: dict[str, str] = {}
        for request in await self._rows.list_values(limit=MAX_PAGE):
            if now - request.at > CANCELLATION_LIFETIME:
                await self.remove(request.run_id)
            else:
                requests[request.run_id] = request.source
        return requests

    async def remove(self, run_id: str) -> None:
        """Remove the request: the run is over. Does nothing if there is no row."""
        await self._rows.remove(run_id)


@dataclass(frozen=True, slots=True)
class _Cancellation:
    run_id: str
    source: str
    at: datetime


def _encode_cancellation(request: _Cancellation) -> str:
    return encode_json({"asked": request.source, "at": request.at.isoformat()})


def _decode_cancellation(row: Row) -> _Cancellation:
    body = decode_json(row.body)
    return _Cancellation(row.key, body["asked"], datetime.fromisoformat(body["at"]))
