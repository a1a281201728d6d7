"""Translates refusals of the service for operators, and finds out whether writes were made whose answer was lost.

A late answer mostly means that the partition is slow or busy. So the rows of a transaction are read by one query
between the first and the last key instead of one by one, few transactions search at a time, and each waits for a random
time before it is sent again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ServiceResponseError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient

from scheduler.stores.port import StoreUnavailable

_ADVICE = {
    400: "the service cannot parse the request; this is a bug in the scheduler",
    401: "check the storage account's key or the app's identity",
    403: (
        "the app needs the role Storage Table Data Contributor on the account, and the "
        "account's firewall must allow its network"
    ),
    404: "the table was deleted; restart the app, which creates its tables when it first uses them",
    413: "the rows are too large",
    429: "the account is busy beyond its limits",
    503: "the account is busy beyond its limits",
}


def http_status(error: AzureError) -> int | None:
    """Return the HTTP status: emulators omit the error code."""
    return error.status_code if isinstance(error, HttpResponseError) else None


def to_store_error(table: str, error: AzureError | int) -> StoreUnavailable:
    """Return the error with what to check. `error`: what was raised, or an HTTP status.

    Names the kind of error only: its text may contain the signature of a connection string.
    """
    status = error if isinstance(error, int) else http_status(error)
    what = type(error).__name__ if status is None else f"status {status}"
    advice = _ADVICE.get(status or 0, "check the storage account, its name and the network between them")
    return StoreUnavailable(f"Azure table {table} cannot be used ({what}): {advice}")


SEARCHES_AT_ONCE = 4
"""Transactions of a process that search for their rows at a time."""
SEARCH_SLOT_TIMEOUT = 15.0
"""Seconds that a transaction waits for its turn to search."""
MAX_ROWS_READ_SINGLY = 2
"""Up to this number, rows are read one by one, which costs the service less than a query."""
MAX_SEARCH_PAGES = 2
"""Pages that are read of one query. The service ends one after 5 s, however few rows it has found by then."""
SEARCH_READS_AT_ONCE = 4
"""Point reads at a time, of rows that the query did not reach."""
SEARCH_RETRY_DELAYS = (0.3, 1.0, 2.0)
"""Seconds between tries to find out, randomized. While it is unknown whether a claim was made, no process performs its
run; with `effect: once` none ever would.
"""
FAST_FAILURE = 3.0
"""Seconds: a failure that takes longer means that the service does not respond."""
MAX_RESEND_DELAY = 0.5
"""Seconds before a transaction is sent again, at most."""

# One retry is enough here: the transaction itself is retried as well.
_OPTIONS: Mapping[str, Any] = {"retry_total": 1}


@dataclass(frozen=True, slots=True)
class MarkedRow:
    """A row that may have been written; if it was, it has the mark. Keys as the service stores them."""

    partition: str
    key: str
    mark: str


class LostAnswers:
    """One for each store: all its transactions share the search slots."""

    def __init__(self) -> None:
        self._search_slots = asyncio.Semaphore(SEARCHES_AT_ONCE)

    async def find_written(self, client: TableClient, rows: Sequence[MarkedRow]) -> Mapping[str, str]:
        """Return the etags of those rows of one transaction that have their marks, by mark. Empty: it was not made.

        Deleted or changed rows may be missing although the transaction was made, but then others are found.

        Raises:
            AzureError: the service does not answer.
        """
        loop = asyncio.get_running_loop()
        for pause in (*SEARCH_RETRY_DELAYS, None):
            began = loop.time()
            try:
                return await self._search(client, rows)
            except AzureError:
                # A service that does not respond gets no further requests; one that refuses some may answer the next.
                if pause is None or loop.time() - began > FAST_FAILURE:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        raise AssertionError("the last delay ends the loop")

    async def _search(self, client: TableClient, rows: Sequence[MarkedRow]) -> Mapping[str, str]:
        async with self._search_slot():
            if len(rows) <= MAX_ROWS_READ_SINGLY:
                return await self._read_rows(client, rows)
            etags, is_all = await self._query_rows(client, rows)
            missing = [] if is_all else [row for row in rows if row.mark not in etags]
            if missing and not etags:
                # One row decides for the whole transaction.
                etags |= await self._read_rows(client, missing[:1])
                missing = missing[1:] if etags else []
            return etags | await self._read_rows(client, missing)

    async def wait_before_resend(self) -> None:
        """Wait before a transaction is sent again, so that those that failed together do not return together."""
        await asyncio.sleep(random.uniform(0.0, MAX_RESEND_DELAY))

    @asynccontextmanager
    async def _search_slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(SEARCH_SLOT_TIMEOUT):
                await self._search_slots.acquire()
        except TimeoutError as error:
            raise ServiceResponseError("too many transactions search for their rows", error=error) from error
        try:
            yield
        finally:
            self._search_slots.release()

    async def _query_rows(self, client: TableClient, rows: Sequence[MarkedRow]) -> tuple[dict[str, str], bool]:
        """Return the etags by mark, and whether no row can be missing."""
        expected = {(row.key, row.mark) for row in rows}
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
        etags: dict[str, str] = {}
        for _ in range(MAX_SEARCH_PAGES):
            try:
                page = await anext(pages)
            except StopAsyncIteration:
                return etags, True
            etags |= _etags_by_mark([entity async for entity in page], expected)
        return etags, len(etags) == len(rows)

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


def _etags_by_mark(entities: Iterable[TableEntity], expected: set[tuple[str, str]]) -> dict[str, str]:
    return {
        entity["Mark"]: str(entity.metadata["etag"])
        for entity in entities
        if (entity["RowKey"], entity.get("Mark")) in expected
    }
