"""Lists runs a page at a time.

Runs of one job are neighbours. Those of all jobs are merged from the shards: first the open ones, then the pointers to
the finished ones, whose runs are read one by one.
"""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scheduler.stores.port import MAX_PAGE, Row, Store
from scheduler.stores.rows import PREFIX_END, InvalidContinuation
from scheduler.stores.runs.codec import RunRecord, RunState, decode_record, read_status
from scheduler.stores.runs.keys import (
    DONE_PREFIX,
    HISTORY_TABLE,
    RUN_PREFIX,
    SHARD_COUNT,
    SHARD_NAMES,
    DueRange,
    RunKey,
    job_prefix,
    reverse_ms,
    shard_of_job,
)
from scheduler.stores.runs.open_runs import is_unfinished, list_history_between, list_open_rows, read_records
from scheduler.turns import convert_each

RUN_PAGE_SCAN_LIMIT = 1000
"""Rows that one call reads, approximately: a filter that matches little must not read everything at once."""
_FILTER_BATCH = 200
"""Rows read at a time while filtering."""

_MILLISECOND = timedelta(milliseconds=1)
ANY_TIME = DueRange()
JobMatcher = Callable[[str], bool]
"""Whether the runs of a job are listed, by its name."""
_KIND_JOB, _KIND_OPEN, _KIND_DONE = "job", "open", "done"
"""The content of a page."""
_JOBS_CONTINUATION = re.compile(r"(job)/((?:\d{13}[^/\x00-\x1f]{0,240})?)")
_CONTINUATION = re.compile(r"(open|done)/((?:\d{13}[^/\x00-\x1f]{0,240}@[^@/\x00-\x1f]{1,240})?)")


@dataclass(frozen=True, slots=True)
class RunPage:
    """`continuation` gives the next page; None on the last one."""

    records: tuple[RunRecord, ...]
    continuation: str | None


@dataclass(frozen=True, slots=True)
class _PagePosition:
    """The beginning of the next page: after this run (RunKey.at within a job, else RunKey.sort_key)."""

    kind: str
    after: str = ""

    def __str__(self) -> str:
        return urlsafe_b64encode(f"{self.kind}/{self.after}".encode()).decode().rstrip("=")


FIRST_FINISHED = str(_PagePosition(_KIND_DONE))
"""The continuation of the list of all jobs' runs with which the finished ones begin."""


@dataclass(frozen=True, slots=True)
class _Criteria:
    """Of runs of all jobs. `status`: see RunPager.read_page; None: any. `job_matcher`: None: every job."""

    status: str | None
    due: DueRange
    job_matcher: JobMatcher | None

    @property
    def is_filter(self) -> bool:
        return self.status is not None or self.job_matcher is not None

    def matches_job(self, job: str) -> bool:
        return self.job_matcher is None or self.job_matcher(job)


class RunPager:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def read_page(
        self,
        job: str | None,
        status: str | None,
        limit: int,
        continuation: str | None,
        due: DueRange = ANY_TIME,
        matches_job: JobMatcher | None = None,
    ) -> RunPage:
        """Return a page of runs. `status`: an outcome, or an unfinished state. Raises ValueError."""
        if limit < 1:
            raise ValueError(f"the limit of a page must be 1 or more, not {limit}")
        if job is not None and matches_job is not None and not matches_job(job):
            return RunPage((), None)
        place = None if continuation is None else _parse_continuation(continuation, of_job=job is not None)
        if job is not None:
            return await self._read_page_of_job(job, status, limit, place.after if place is not None else "", due)
        return await self._read_page_of_all(_Criteria(status, due, matches_job), limit, place)

    async def list_states_between(self, job: str, since: datetime, until: datetime) -> dict[str, str]:
        """Return the outcome or the state of each run of the job that was due in [since, until], by id."""
        first = job_prefix(RUN_PREFIX, job)
        # Newest first: from the last key of the instant after the newest.
        after, end = first + reverse_ms(until + _MILLISECOND) + PREFIX_END, first + reverse_ms(since) + PREFIX_END
        rows = await list_history_between(self._store, shard_of_job(job), after, end)
        return {RunKey.from_row_key(row.key).run_id: read_status(row) for row in rows}

    async def _read_page_of_job(self, job: str, status: str | None, limit: int, after: str, due: DueRange) -> RunPage:
        chosen: list[Row] = []
        scanned = 0
        first = job_prefix(RUN_PREFIX, job)
        after, until = max(after, due.after), first + due.end
        while scanned < RUN_PAGE_SCAN_LIMIT:
            # One more than the limit shows whether another page exists.
            batch = _FILTER_BATCH if status is not None else min(MAX_PAGE, limit - len(chosen) + 1)
            rows = await self._store.list_rows(
                HISTORY_TABLE, shard_of_job(job), after=first + after, until=until, limit=batch
            )
            for row in rows:
                if len(chosen) == limit:
                    return _build_page(await convert_each(decode_record, chosen), _PagePosition(_KIND_JOB, after))
                after = row.key[len(first) :]
                if status is None or read_status(row) == status:
                    chosen.append(row)
            if len(rows) < batch:
                return _build_page(await convert_each(decode_record, chosen), None)
            scanned += len(rows)
        return _build_page(await convert_each(decode_record, chosen), _PagePosition(_KIND_JOB, after))

    async def _read_page_of_all(self, criteria: _Criteria, limit: int, place: _PagePosition | None) -> RunPage:
        is_open = criteria.status in (RunState.QUEUED, RunState.RUNNING)
        if place is None:
            place = _PagePosition(_KIND_OPEN if criteria.status is None or is_open else _KIND_DONE)
        records: list[RunRecord] = []
        if place.kind == _KIND_OPEN:
            records, after = await self._read_open(criteria, limit, place.after)
            if after is not None or is_open:
                return _build_page(records, None if after is None else _PagePosition(_KIND_OPEN, after))
            place = _PagePosition(_KIND_DONE)
        done, after = await self._read_done(criteria, limit - len(records), place.after)
        # A run of this page that ended between the two reads is among both.
        unfinished = {record.ticket.id for record in records}
        records += [record for record in done if record.ticket.id not in unfinished]
        return _build_page(records, None if after is None else _PagePosition(_KIND_DONE, after))

    async def _read_open(self, criteria: _Criteria, limit: int, after: str) -> tuple[list[RunRecord], str | None]:
        """Return runs after `after`, and the last one if more exist: all pointers are read for it."""
        chosen: list[Row] = []
        last = after
        for row in await list_open_rows(self._store):
            key = RunKey.from_row_key(row.key)
            if key.sort_key <= after or not criteria.due.contains(key.due_at) or not criteria.matches_job(key.job):
                continue
            # Thousands can be claimed ahead, so only those of the page are decoded.
            if not is_unfinished(row) or criteria.status not in (None, read_status(row)):
                continue
            if len(chosen) == limit:
                return await convert_each(decode_record, chosen), last
            chosen.append(row)
            last = key.sort_key
        return await convert_each(decode_record, chosen), None

    async def _read_done(self, criteria: _Criteria, limit: int, after: str) -> tuple[list[RunRecord], str | None]:
        chosen: list[RunKey] = []
        scanned, status = 0, criteria.status
        after = max(after, criteria.due.after)
        while scanned < RUN_PAGE_SCAN_LIMIT:
            # One more than the limit shows whether another page exists.
            batch = _FILTER_BATCH if criteria.is_filter else min(MAX_PAGE, limit - len(chosen) + 1)
            rows, is_all = await self._list_newest(after, criteria.due.end, batch)
            for row in rows:
                if len(chosen) == limit:
                    return await read_records(self._store, chosen), after
                after = row.key[len(DONE_PREFIX) :]
                key = RunKey.from_row_key(row.key)
                if criteria.matches_job(key.job) and (status is None or row.body == f'"{status}"'):
                    chosen.append(key)
            if is_all:
                return await read_records(self._store, chosen), None
            scanned += len(rows)
        return await read_records(self._store, chosen), after

    async def _list_newest(self, after: str, end: str, number: int) -> tuple[list[Row], bool]:
        """Return pointers to finished runs between `after` and `end`, at least this many if they exist; and whether no
        more exist.

        Each shard is read for its part and a little more. Rows after the last one of a shard that may have more are
        left for the next call.
        """
        batch = min(MAX_PAGE, number // SHARD_COUNT + number // 8 + 5)
        reading = (
            self._store.list_rows(HISTORY_TABLE, name, after=DONE_PREFIX + after, until=DONE_PREFIX + end, limit=batch)
            for name in SHARD_NAMES
        )
        found = await asyncio.gather(*reading)
        ends = [rows[-1].key for rows in found if len(rows) == batch]
        last = min(ends, default=None)
        rows = [row for rows in found for row in rows if last is None or row.key <= last]
        return sorted(rows, key=lambda row: row.key), last is None


def move_continuation(continuation: str, move: Callable[[str], str]) -> str:
    """Return a continuation of the list of all jobs' runs, with the position that `move` returns for its position."""
    place = _parse_continuation(continuation, of_job=False)
    return str(replace(place, after=move(place.after)))


def _build_page(records: Sequence[RunRecord], place: _PagePosition | None) -> RunPage:
    return RunPage(tuple(records), None if place is None else str(place))


def _parse_continuation(continuation: str, *, of_job: bool) -> _PagePosition:
    try:
        text = urlsafe_b64decode(continuation + "=" * (-len(continuation) % 4)).decode()
    except ValueError:
        text = ""
    found = (_JOBS_CONTINUATION if of_job else _CONTINUATION).fullmatch(text)
    if found is None:
        raise InvalidContinuation(continuation)
    return _PagePosition(found[1], found[2])
