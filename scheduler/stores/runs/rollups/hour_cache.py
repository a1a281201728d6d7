"""Caches the row of each job's current hour, so that counting a run reads nothing. Used by runs.rollups.counting."""

from __future__ import annotations

from typing import NamedTuple

from scheduler.stores.runs.rollups.hour_counts import HourCounts
from scheduler.stores.runs.rollups.keys import hour_of

MAX_CACHED_JOBS = 10_000
MAX_CACHED_CHARACTERS = 5_000_000
"""Of all bodies: with keys, etags and the dictionary, 10,000 jobs take less than 10 MiB."""
MAX_DECODED_JOBS = 400
"""Rows whose decoded counts are cached as well. Each takes about 1 KB more."""


class HourRow(NamedTuple):
    """The row of an hour as it was last read or written."""

    key: str
    body: str
    etag: str


class HourCache:
    """One row a job. When it is full, rows of earlier hours are evicted, the least recently used one first.

    A row of the current hour is not evicted for another one: with more jobs than fit, the cache would hold none of them
    when it is due again.
    """

    def __init__(self) -> None:
        self._rows: dict[str, HourRow] = {}
        self._decoded: dict[str, HourCounts] = {}
        self._characters = 0

    def get(self, job: str, key: str) -> HourRow | None:
        """Return the row of this key; None if it is not cached."""
        row = self._rows.get(job)
        return row if row is not None and row.key == key else None

    def take_counts(self, job: str, row: HourRow) -> HourCounts | None:
        """Remove the decoded counts of this row, and return them for a change; None if they are not cached."""
        return self._decoded.pop(job, None) if self._rows.get(job) is row else None

    def put(self, job: str, row: HourRow, counts: HourCounts | None = None) -> None:
        """Cache the row, unless one of a later hour is cached, or the cache is full with rows of its hour.

        `counts`: what the row contains.
        """
        cached = self._rows.get(job)
        if cached is not None and cached.key > row.key:
            return
        self.discard(job)
        while self.is_full(len(row.body)):
            oldest = next(iter(self._rows), None)
            if oldest is None or hour_of(self._rows[oldest].key) >= hour_of(row.key):
                return
            self.discard(oldest)
        self._rows[job] = row
        self._characters += len(row.body)
        if counts is not None and len(self._decoded) < MAX_DECODED_JOBS:
            self._decoded[job] = counts

    def discard(self, job: str) -> None:
        row = self._rows.pop(job, None)
        self._decoded.pop(job, None)
        if row is not None:
            self._characters -= len(row.body)

    def is_full(self, characters: int = 0) -> bool:
        """Return whether a body of this length does not fit."""
        return len(self._rows) >= MAX_CACHED_JOBS or self._characters + characters > MAX_CACHED_CHARACTERS
