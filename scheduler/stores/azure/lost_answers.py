"""Finds out whether writes whose answer was lost were made, and spreads the requests for that. Used by azure_steps.

A late answer mostly means that the partition is slow or busy. So the rows of a transaction are not read one by one but
by one query between the first and the last key, few transactions ask at a time, and they wait for a random time before
they are sent again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, ServiceResponseError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient

from scheduler.stores.azure.errors import http_status

SEARCHES_AT_ONCE = 4
"""Transactions of a process that look for their rows at a time."""
SEARCH_SLOT_TIMEOUT = 15.0
"""Seconds that a transaction waits for its turn to look."""
MAX_ROWS_READ_SINGLY = 2
"""So many rows are read one by one: that costs the service less than a query."""
MAX_SEARCH_PAGES = 2
"""Answers of one query that are waited for. The service ends one after 5 s, however few rows it has found by then."""
SEARCH_READS_AT_ONCE = 4
"""Point reads at a time, of rows that the query did not come to."""
SEARCH_RETRY_DELAYS = (0.3, 1.0, 2.0)
"""Seconds between tries to find out, spread. While it is not known whether a claim was made, nobody performs its run:
with `effect: once` it would never be performed."""
FAST_FAILURE = 3.0
"""Seconds: a failure that takes longer than this is a service that stands still."""
MAX_RESEND_DELAY = 0.5
"""Seconds before a transaction is sent again, at most."""

# A second try is enough here: the transaction itself is tried again as well.
_OPTIONS: Mapping[str, Any] = {"retry_total": 1}


@dataclass(frozen=True, slots=True)
class MarkedRow:
    """A row that may have been written; if it was, it bears the mark. Keys as the service has them."""

    partition: str
    key: str
    mark: str


class LostAnswers:
    """Of one store: all its transactions share the turns."""

    def __init__(self) -> None:
        self._search_slots = asyncio.Semaphore(SEARCHES_AT_ONCE)

    async def find_written(self, client: TableClient, rows: Sequence[MarkedRow]) -> Mapping[str, str]:
        """The etags of those rows of one transaction that bear their marks, by mark. None: it was not made.

        Deleted or changed rows may be missing though the transaction was made, but then others are found.

        Raises:
            AzureError: the service does not say.
        """
        loop = asyncio.get_running_loop()
        for pause in (*SEARCH_RETRY_DELAYS, None):
            began = loop.time()
            try:
                return await self._search(client, rows)
            except AzureError:
                # A service that stands still gets no more requests; one that refuses some answers another one.
                if pause is None or loop.time() - began > FAST_FAILURE:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        raise AssertionError("the last pause is None")

    async def _search(self, client: TableClient, rows: Sequence[MarkedRow]) -> Mapping[str, str]:
        async with self._search_slot():
            if len(rows) <= MAX_ROWS_READ_SINGLY:
                return await self._read_rows(client, rows)
            found, is_all = await self._query_rows(client, rows)
            left = [] if is_all else [row for row in rows if row.mark not in found]
            if left and not found:
                # One row tells for all of the transaction.
                found |= await self._read_rows(client, left[:1])
                left = left[1:] if found else []
            return found | await self._read_rows(client, left)

    async def wait_before_resend(self) -> None:
        """Wait before a transaction is sent again, so that those that failed together do not come together."""
        await asyncio.sleep(random.uniform(0.0, MAX_RESEND_DELAY))

    @asynccontextmanager
    async def _search_slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(SEARCH_SLOT_TIMEOUT):
                await self._search_slots.acquire()
        except TimeoutError as error:
            raise ServiceResponseError("too many transactions look for their rows", error=error) from error
        try:
            yield
        finally:
            self._search_slots.release()

    async def _query_rows(self, client: TableClient, rows: Sequence[MarkedRow]) -> tuple[dict[str, str], bool]:
        """The etags by mark, and whether no row can be missing."""
        wanted = {(row.key, row.mark) for row in rows}
        first, last = min(row.key for row in rows), max(row.key for row in rows)
        marks = sorted(row.mark for row in rows)
        between = "RowKey ge @first and RowKey le @last and Mark ge @oldest and Mark le @newest"
        values = {"first": first, "last": last, "oldest": marks[0], "newest": marks[-1]}
        pages = client.query_entities(
            f"PartitionKey eq @partition and {between}",
            parameters={"partition": rows[0].partition, **values},
            select=["RowKey", "Mark"],
            **_OPTIONS,
        ).by_page()
        found: dict[str, str] = {}
        for _ in range(MAX_SEARCH_PAGES):
            try:
                page = await anext(pages)
            except StopAsyncIteration:
                return found, True
            found |= _etags_by_mark([entity async for entity in page], wanted)
        return found, len(found) == len(rows)

    async def _read_rows(self, client: TableClient, rows: Iterable[MarkedRow]) -> dict[str, str]:
        places = asyncio.Semaphore(SEARCH_READS_AT_ONCE)

        async def read(row: MarkedRow) -> dict[str, str]:
            async with places:
                try:
                    entity = await client.get_entity(row.partition, row.key, select=["RowKey", "Mark"], **_OPTIONS)
                except AzureError as error:
                    if http_status(error) == 404:
                        return {}
                    raise
            return _etags_by_mark([entity], {(row.key, row.mark)})

        found: dict[str, str] = {}
        for one in await asyncio.gather(*map(read, rows)):
            found |= one
        return found


def _etags_by_mark(entities: Iterable[TableEntity], wanted: set[tuple[str, str]]) -> dict[str, str]:
    return {
        entity["Mark"]: str(entity.metadata["etag"])
        for entity in entities
        if (entity["RowKey"], entity.get("Mark")) in wanted
    }
