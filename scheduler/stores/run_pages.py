"""Lists runs a page at a time. Used by runs."""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.problems import shown_value
from scheduler.stores.port import LARGEST_PAGE, Row, Store
from scheduler.stores.run_codec import Record, RunState, decode, status_of
from scheduler.stores.run_keys import DAYS, OPEN, RUNS, TIMELINE, RunKey, day_key, day_of_key, reverse_ms

LOOKED_AT = 1000
"""Rows that one call looks at, more or less: a filter that matches little must not read everything at once."""
_STEP = 200
"""Rows read at a time while filtering."""
_QUERY = 20
"""What reading at all counts, in rows: days with a run or two must not be walked through by the hundred."""

_MILLISECOND = timedelta(milliseconds=1)
_BEHIND = "~"
"""Sorts behind every suffix of a key."""
_OF_JOB = "job"
_CONTINUATION = re.compile(r"(job|open|\d{8})/((?:\d{13}[^/\x00-\x1f]{0,240})?)")


@dataclass(frozen=True, slots=True)
class RunPage:
    """`continuation` gives the next page; None on the last one."""

    records: tuple[Record, ...]
    continuation: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the next page begins: after this key of a partition of TIMELINE, or of the job's own partition."""

    partition: str
    after: str = ""

    def __str__(self) -> str:
        return urlsafe_b64encode(f"{self.partition}/{self.after}".encode()).decode().rstrip("=")


class RunPages:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, job: str | None, status: str | None, limit: int, continuation: str | None) -> RunPage:
        """See Runs.list. `status`: an outcome, or a state that is not finished. Raises ValueError."""
        if limit < 1:
            raise ValueError(f"a page of {limit} runs cannot be had")
        place = None if continuation is None else _read(continuation, of_job=job is not None)
        if job is not None:
            return await self._of_job(job, status, limit, place.after if place is not None else "")
        return await self._of_all(status, limit, place)

    async def states_between(self, job: str, since: datetime, until: datetime) -> dict[str, str]:
        """See Runs.states_between."""
        found: dict[str, str] = {}
        last = reverse_ms(since) + _BEHIND
        # Newest first: from the last key of the instant after the newest on.
        after = reverse_ms(until + _MILLISECOND) + _BEHIND
        while rows := await self._store.list(RUNS, job, after=after, limit=LARGEST_PAGE):
            found |= {RunKey(job, row.key).run_id: status_of(row) for row in rows if row.key <= last}
            after = rows[-1].key
            if after > last:
                break
        return found

    async def _of_job(self, job: str, status: str | None, limit: int, after: str) -> RunPage:
        records: list[Record] = []
        looked = 0
        while looked < LOOKED_AT:
            # One more than is wanted tells whether there is another page.
            asked = _STEP if status is not None else min(LARGEST_PAGE, limit - len(records) + 1)
            rows = await self._store.list(RUNS, job, after=after, limit=asked)
            for row in rows:
                if len(records) == limit:
                    return _page(records, _Place(_OF_JOB, after))
                after = row.key
                if status is None or status_of(row) == status:
                    records.append(decode(row))
            if len(rows) < asked:
                return _page(records, None)
            looked += len(rows) + _QUERY
        return _page(records, _Place(_OF_JOB, after))

    async def _of_all(self, status: str | None, limit: int, place: _Place | None) -> RunPage:
        if place is None:
            wants_open = status is None or status in (RunState.QUEUED, RunState.RUNNING)
            place = _Place(OPEN) if wants_open else await self._older(None)
        records: list[Record] = []
        looked = 0
        while place is not None and len(records) < limit and looked < LOOKED_AT:
            asked = _STEP if status is not None else min(LARGEST_PAGE, limit - len(records) + 1)
            rows = await self._store.list(TIMELINE, place.partition, after=place.after, limit=asked)
            taken, chosen = _choose(rows, place.partition, status, limit - len(records))
            records += await self._read(chosen, place.partition, status)
            looked += len(rows) + _QUERY
            if taken < len(rows) or len(rows) == asked:
                place = _Place(place.partition, rows[taken - 1].key)
            else:
                place = await self._after(place.partition, status)
        return _page(records, place)

    async def _after(self, partition: str, status: str | None) -> _Place | None:
        """The beginning of the next partition."""
        if partition != OPEN:
            return await self._older(partition)
        return await self._older(None) if status is None else None

    async def _older(self, day: str | None) -> _Place | None:
        """The newest day that has runs and lies before this one."""
        rows = await self._store.list(TIMELINE, DAYS, after=day_key(day) if day is not None else "", limit=1)
        return _Place(day_of_key(rows[0].key)) if rows else None

    async def _read(self, pointers: Sequence[Row], partition: str, status: str | None) -> list[Record]:
        records = await read_open(self._store, pointers)
        if partition != OPEN:
            return records
        # A finished run among the open ones waits to be put into its day: it is listed there.
        return [record for record in records if record.run is None and status in (None, record.state)]


async def read_open(store: Store, pointers: Sequence[Row]) -> list[Record]:
    """The runs that these rows of TIMELINE point to, as far as they exist."""
    keys = [RunKey.of_pointer(pointer.key) for pointer in pointers]
    rows = await asyncio.gather(*(store.get(RUNS, key.job, key.key) for key in keys))
    return [decode(row) for row in rows if row is not None]


def _choose(rows: Sequence[Row], partition: str, status: str | None, most: int) -> tuple[int, list[Row]]:
    """How many rows were looked at, and which of them may match: at most `most`."""
    any_of_them = status is None or partition == OPEN
    chosen: list[Row] = []
    for number, row in enumerate(rows):
        if len(chosen) == most:
            return number, chosen
        if any_of_them or row.body == f'"{status}"':
            chosen.append(row)
    return len(rows), chosen


def _page(records: Sequence[Record], place: _Place | None) -> RunPage:
    return RunPage(tuple(records), None if place is None else str(place))


def _read(continuation: str, *, of_job: bool) -> _Place:
    try:
        text = urlsafe_b64decode(continuation + "=" * (-len(continuation) % 4)).decode()
    except ValueError:
        text = ""
    found = _CONTINUATION.fullmatch(text)
    if found is None or (found[1] == _OF_JOB) is not of_job:
        shown = shown_value(continuation)
        raise ValueError(f"{shown} is no continuation of this list: take it from the page before, unchanged")
    return _Place(found[1], found[2])
