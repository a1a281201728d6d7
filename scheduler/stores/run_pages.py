"""Lists runs a page at a time. Used by runs.

Runs of one job are neighbours. Those of all jobs are merged from the shards: first the open ones, then the pointers to
the finished ones, whose runs are read one by one.
"""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.problems import shown_value
from jobs.uptime import Look
from scheduler.stores.port import LARGEST_PAGE, Row, Store
from scheduler.stores.run_codec import Record, RunState, decode, read_look, status_of
from scheduler.stores.run_keys import (
    DONE,
    END,
    HISTORY,
    RUN,
    SHARD_NAMES,
    SHARDS,
    DueRange,
    RunKey,
    of_job,
    reverse_ms,
    shard,
)
from scheduler.stores.run_open import open_rows, read_runs, rows_between, unfinished_records

LOOKED_AT = 1000
"""Rows that one call looks at, more or less: a filter that matches little must not read everything at once."""
_STEP = 200
"""Rows read at a time while filtering."""

_MILLISECOND = timedelta(milliseconds=1)
ANY_TIME = DueRange()
_OF_JOB, _OPEN, _DONE = "job", "open", "done"
"""What a page is of."""
_JOBS_CONTINUATION = re.compile(r"(job)/((?:\d{13}[^/\x00-\x1f]{0,240})?)")
_CONTINUATION = re.compile(r"(open|done)/((?:\d{13}[^/\x00-\x1f]{0,240}@[^@/\x00-\x1f]{1,240})?)")


@dataclass(frozen=True, slots=True)
class RunPage:
    """`continuation` gives the next page; None on the last one."""

    records: tuple[Record, ...]
    continuation: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the next page begins: behind this run (RunKey.at within a job, else RunKey.order)."""

    of: str
    after: str = ""

    def __str__(self) -> str:
        return urlsafe_b64encode(f"{self.of}/{self.after}".encode()).decode().rstrip("=")


class RunPages:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self, job: str | None, status: str | None, limit: int, continuation: str | None, due: DueRange = ANY_TIME
    ) -> RunPage:
        """See Runs.list. `status`: an outcome, or a state that is not finished. Raises ValueError."""
        if limit < 1:
            raise ValueError(f"a page of {limit} runs cannot be had")
        place = None if continuation is None else _read(continuation, of_job=job is not None)
        if job is not None:
            return await self._of_job(job, status, limit, place.after if place is not None else "", due)
        return await self._of_all(status, limit, place, due)

    async def states_between(self, job: str, since: datetime, until: datetime) -> dict[str, str]:
        """See Runs.states_between."""
        first = of_job(RUN, job)
        # Newest first: from the last key of the instant after the newest on.
        after, end = first + reverse_ms(until + _MILLISECOND) + END, first + reverse_ms(since) + END
        rows = await rows_between(self._store, shard(job), after, end)
        return {RunKey.read(row.key).run_id: status_of(row) for row in rows}

    async def looks(self, job: str, most: int) -> tuple[list[tuple[datetime, Look]], bool]:
        """See Runs.looks."""
        found: list[tuple[datetime, Look]] = []
        first = of_job(RUN, job)
        after, looked, is_all = first, 0, False
        while looked < most and not is_all:
            # More at a time would keep others waiting.
            asked = min(_STEP, most - looked)
            rows = await self._store.list(HISTORY, shard(job), after=after, until=first + END, limit=asked)
            found += [look for row in rows if (look := read_look(row)) is not None]
            looked += len(rows)
            is_all = len(rows) < asked
            after = rows[-1].key if rows else after
        return sorted(found, key=lambda look: look[0]), is_all

    async def _of_job(self, job: str, status: str | None, limit: int, after: str, due: DueRange) -> RunPage:
        records: list[Record] = []
        looked = 0
        first = of_job(RUN, job)
        after, until = max(after, due.after), first + due.end
        while looked < LOOKED_AT:
            # One more than is wanted tells whether there is another page.
            asked = _STEP if status is not None else min(LARGEST_PAGE, limit - len(records) + 1)
            rows = await self._store.list(HISTORY, shard(job), after=first + after, until=until, limit=asked)
            for row in rows:
                if len(records) == limit:
                    return _page(records, _Place(_OF_JOB, after))
                after = row.key[len(first) :]
                if status is None or status_of(row) == status:
                    records.append(decode(row))
            if len(rows) < asked:
                return _page(records, None)
            looked += len(rows)
        return _page(records, _Place(_OF_JOB, after))

    async def _of_all(self, status: str | None, limit: int, place: _Place | None, due: DueRange) -> RunPage:
        is_open = status in (RunState.QUEUED, RunState.RUNNING)
        if place is None:
            place = _Place(_OPEN if status is None or is_open else _DONE)
        records: list[Record] = []
        if place.of == _OPEN:
            records, after = await self._open(status, limit, place.after, due)
            if after is not None or is_open:
                return _page(records, None if after is None else _Place(_OPEN, after))
            place = _Place(_DONE)
        done, after = await self._done(status, limit - len(records), place.after, due)
        return _page([*records, *done], None if after is None else _Place(_DONE, after))

    async def _open(self, status: str | None, limit: int, after: str, due: DueRange) -> tuple[list[Record], str | None]:
        """Of the runs behind `after`, and the last one if there are more: all pointers are read for it."""
        records = [
            record
            for record in unfinished_records(await open_rows(self._store))
            if status in (None, record.state)
            and due.has(record.ticket.due_at)
            and RunKey.of(record.ticket).order > after
        ]
        more = len(records) > limit
        return records[:limit], RunKey.of(records[limit - 1].ticket).order if more else None

    async def _done(self, status: str | None, limit: int, after: str, due: DueRange) -> tuple[list[Record], str | None]:
        chosen: list[RunKey] = []
        looked = 0
        after = max(after, due.after)
        while looked < LOOKED_AT:
            # One more than is wanted tells whether there is another page.
            asked = _STEP if status is not None else min(LARGEST_PAGE, limit - len(chosen) + 1)
            rows, is_all = await self._newest(after, due.end, asked)
            for row in rows:
                if len(chosen) == limit:
                    return await read_runs(self._store, chosen), after
                after = row.key[len(DONE) :]
                if status is None or row.body == f'"{status}"':
                    chosen.append(RunKey.read(row.key))
            if is_all:
                return await read_runs(self._store, chosen), None
            looked += len(rows)
        return await read_runs(self._store, chosen), after

    async def _newest(self, after: str, end: str, number: int) -> tuple[list[Row], bool]:
        """Pointers to finished runs between `after` and `end`, at least this many if there are as many; and whether
        that is all.

        Each shard is asked for its part and a little more; what lies behind the last one of a shard that may have more
        is left for the next time.
        """
        asked = min(LARGEST_PAGE, number // SHARDS + number // 8 + 5)
        reading = (
            self._store.list(HISTORY, name, after=DONE + after, until=DONE + end, limit=asked) for name in SHARD_NAMES
        )
        found = await asyncio.gather(*reading)
        ends = [rows[-1].key for rows in found if len(rows) == asked]
        last = min(ends, default=None)
        rows = [row for rows in found for row in rows if last is None or row.key <= last]
        return sorted(rows, key=lambda row: row.key), last is None


def _page(records: Sequence[Record], place: _Place | None) -> RunPage:
    return RunPage(tuple(records), None if place is None else str(place))


def _read(continuation: str, *, of_job: bool) -> _Place:
    try:
        text = urlsafe_b64decode(continuation + "=" * (-len(continuation) % 4)).decode()
    except ValueError:
        text = ""
    found = (_JOBS_CONTINUATION if of_job else _CONTINUATION).fullmatch(text)
    if found is None:
        shown = shown_value(continuation)
        raise ValueError(f"{shown} is no continuation of this list: take it from the page before, unchanged")
    return _Place(found[1], found[2])
