"""Pauses: jobs that are not run on their schedule for a while. Set by operations, asked by ticks, gates and queries.

One row a job at most, all in one partition, so that one read tells of all of them. A row whose end has passed stays
until the job is paused again: it tells a heartbeat that nothing was waited for meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from scheduler.stores.port import LARGEST_PAGE, Put, Row, Store, StoreError

if TYPE_CHECKING:
    from jobs.schedules import Schedule

_log = logging.getLogger("scheduler.pauses")

TABLE = "pauses"
PAUSED = "the job is paused"
"""Begins the reason of a run that is left out for it: what was seen before is no news of the time after."""
_JOBS = "jobs"
REFRESHED_AFTER = 5.0
"""Seconds that a look at the store is good for. What this process changes itself holds at once."""
KNOWN_AFTER = timedelta(seconds=REFRESHED_AFTER + 1)
"""By then every process that runs jobs knows of a pause, give or take the time of a look."""


@dataclass(frozen=True, slots=True)
class Pause:
    """`until`: its end, exclusive; None: until the job is resumed."""

    job: str
    since: datetime
    until: datetime | None = None
    reason: str = ""

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    def leaves_out(self, schedule: Schedule, at: datetime) -> bool:
        """Whether a due instant is not even planned: those in the pause but its first ones.

        The first one by which everybody knows of the pause is planned for sure, and recorded as skipped with the
        reason; it stands for all that follow, as a row for each would be many for a job of each second.
        """
        known = self.since + KNOWN_AFTER
        return known < at and self.holds(at) and at != schedule.next_after(known)

    def __str__(self) -> str:
        """`paused until 2026-11-25 14:00:00Z: deployment`. With "the job is" before it, it begins with PAUSED."""
        end = f" until {self.until:%Y-%m-%d %H:%M:%S}Z" if self.until is not None else " until it is resumed"
        return f"paused{end}" + (f": {self.reason}" if self.reason else "")


class Pauses:
    """What holds now, remembered for a few seconds. `put` and `end` raise StoreUnavailable."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._known: dict[str, Pause] = {}
        self._good_until: float | None = None
        self._reading = asyncio.Lock()

    async def active(self, now: datetime, *, fresh: bool = False) -> Mapping[str, Pause]:
        """The pauses that hold now, by job; what other processes changed is seen after REFRESHED_AFTER at the latest.

        `fresh` asks the store in any case. While it is away, what was known last goes on to hold.
        """
        if fresh or self._is_old():
            async with self._reading:
                if fresh or self._is_old():
                    await self._refresh()
        return self.known(now)

    def known(self, now: datetime) -> Mapping[str, Pause]:
        """The same as of the last look at the store, at once."""
        return {job: pause for job, pause in self._known.items() if pause.holds(now)} if self._known else {}

    def over(self, job: str, now: datetime) -> Pause | None:
        """The last pause of the job, if it is over; as of the last look at the store."""
        pause = self._known.get(job)
        return None if pause is None or pause.holds(now) else pause

    async def put(self, pause: Pause) -> None:
        """Pause the job, in place of a pause that it may have."""
        body = {"since": pause.since.isoformat(), "until": pause.until and pause.until.isoformat()}
        if pause.reason:
            body["reason"] = pause.reason
        async with self._reading:
            await self._store.apply(Put(TABLE, _JOBS, pause.job, json.dumps(body)))
            self._known[pause.job] = pause

    async def end(self, job: str, now: datetime) -> None:
        """Resume the job; nothing happens if it is not paused."""
        row = await self._store.get(TABLE, _JOBS, job)
        if row is not None and (pause := _pause(row)).holds(now):
            await self.put(replace(pause, until=now))

    def _is_old(self) -> bool:
        return self._good_until is None or self._monotonic() >= self._good_until

    async def _refresh(self) -> None:
        self._good_until = self._monotonic() + REFRESHED_AFTER
        try:
            self._known = await self._read()
        except StoreError as error:
            _log.warning("pauses cannot be read, those known last go on: %s", error)

    async def _read(self) -> dict[str, Pause]:
        found: dict[str, Pause] = {}
        after = ""
        while rows := await self._store.list(TABLE, _JOBS, after=after, limit=LARGEST_PAGE):
            found |= {row.key: _pause(row) for row in rows}
            if len(rows) < LARGEST_PAGE:
                break
            after = rows[-1].key
        return found


def _pause(row: Row) -> Pause:
    body = json.loads(row.body)
    until = body.get("until")
    return Pause(
        job=row.key,
        since=datetime.fromisoformat(body["since"]),
        until=None if until is None else datetime.fromisoformat(until),
        reason=body.get("reason", ""),
    )
