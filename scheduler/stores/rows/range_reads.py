"""Reads many ranges of the keys of a partition with few requests. Used by scheduler.stores.runs.rollups.reading.

The ranges of a large store often have few rows, or none: one page has the rows of many of them. Where many other rows
are between the ranges, these are read one by one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from scheduler.stores.port import Row, Store
from scheduler.stores.rows.paging import list_all_rows

ROWS_PER_PAGE = 200
"""A larger page would delay other readers."""
RANGES_AT_ONCE = 25
"""Ranges that are read one by one before a page is tried again."""
MAX_OTHER_ROWS = 20
"""Rows outside of the ranges that a page may have for each range it passes: they cost about as much as a request."""


class KeyRange(NamedTuple):
    """Keys greater than `after` and less than `until`."""

    after: str
    until: str


RangeRows = tuple[int, list[Row]]
"""The number of a range, and all of its rows."""


async def iterate_ranges(
    store: Store, table: str, partition: str, ranges: Sequence[KeyRange]
) -> AsyncIterator[Sequence[RangeRows]]:
    """Yield the rows of each range that has some, in the order of the ranges. Raises StoreUnavailable.

    `ranges`: ascending, without a common key.
    """
    place, pending = 0, list[Row]()
    ends = [each.until for each in ranges]
    while place < len(ranges):
        after = max(ranges[place].after, pending[-1].key if pending else "")
        rows = await store.list_rows(table, partition, after=after, until=ends[-1], limit=ROWS_PER_PAGE)
        found, unfinished, number = _assign(rows, ranges, ends, place, pending)
        if len(rows) < ROWS_PER_PAGE:
            if unfinished:
                found.append((number, unfinished))
            place = len(ranges)
        else:
            others = len(rows) + len(pending) - len(unfinished) - sum(len(each) for _, each in found)
            passed, place, pending = number - place, number, unfinished
            if others > MAX_OTHER_ROWS * (passed + 1) and not pending:
                some = ranges[place : place + RANGES_AT_ONCE]
                singly = await asyncio.gather(*(_read_range(store, table, partition, each) for each in some))
                found += [(place + at, each) for at, each in enumerate(singly) if each]
                place += len(some)
        if found:
            yield found


def _assign(
    rows: Sequence[Row], ranges: Sequence[KeyRange], ends: Sequence[str], place: int, pending: Sequence[Row]
) -> tuple[list[RangeRows], list[Row], int]:
    """Return the rows of the ranges that end before the last row, those of the range that it is in or before, and the
    number of this range. `pending`: rows of the range `place` that were read before.
    """
    found, unfinished = list[RangeRows](), [*pending]
    for row in rows:
        if row.key >= ends[place]:
            if unfinished:
                found.append((place, unfinished))
                unfinished = []
            place = bisect_right(ends, row.key, place)
        if row.key > ranges[place].after:
            unfinished.append(row)
    return found, unfinished, place


async def _read_range(store: Store, table: str, partition: str, of: KeyRange) -> list[Row]:
    return await list_all_rows(store, table, partition, after=of.after, until=of.until)
