"""Rows in Azure Tables, over Microsoft's asynchronous client. Imported by azure_tables when a store is opened.

The client repeats a request whose answer was lost, so our own insert may come back as "exists already", our own replace
as "changed". Every write therefore carries a mark of its own, and whatever error meets a write, the row is read again:
if it bears the mark, the write was made.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from itertools import count, groupby
from typing import Any

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from scheduler.stores.azure_entities import escape, table_name, to_entity, to_row
from scheduler.stores.port import (
    Change,
    Delete,
    Insert,
    Put,
    Replace,
    Row,
    RowChanged,
    RowExists,
    StoreError,
    StoreUnavailable,
)

LARGEST_TRANSACTION = 100
"""Operations; set by the service."""

# All tries of one operation stay within the half minute that a lease outlives its run.
_CLIENT_OPTIONS: dict[str, Any] = {
    "connection_timeout": 4,
    "read_timeout": 6,
    "retry_total": 3,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 2,
}


def connect(account: str, credential: AsyncTokenCredential | None) -> TableServiceClient:
    """`account`: a connection string, or the account's URL with a credential."""
    if credential is None:
        return TableServiceClient.from_connection_string(account, **_CLIENT_OPTIONS)
    return TableServiceClient(account, credential=credential, **_CLIENT_OPTIONS)


class AzureTablesStore:
    """Implements scheduler.stores.port.Store: a change is a request, neighbours in one partition are a transaction."""

    def __init__(self, service: TableServiceClient, prefix: str) -> None:
        self._service = service
        self._prefix = prefix
        self._tables: dict[str, TableClient] = {}
        self._closed = False
        opening = secrets.token_hex(6)
        self._marks: Iterator[str] = (f"{opening}-{number}" for number in count())

    async def apply(self, *changes: Change) -> tuple[str, ...]:
        writes = [_Write(change, next(self._marks)) for change in changes]
        etags: list[str] = []
        for group in _transactions(writes):
            etags += await self._apply_group(group)
        return tuple(etags)

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        entity = await self._entity(table, partition, key)
        return None if entity is None else to_row(entity, _etag(entity))

    async def list(
        self, table: str, partition: str, *, after: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        client = await self._table(table)
        found = client.query_entities(
            "PartitionKey eq @partition and RowKey gt @after",
            parameters={"partition": escape(partition), "after": escape(after)},
            results_per_page=limit,
            select=None if bodies else ["PartitionKey", "RowKey"],
        )
        rows: list[Row] = []
        try:
            # A page may be empty and still not be the last one; the iterator goes on until it is.
            async for entity in found:
                rows.append(to_row(entity, _etag(entity)))
                if len(rows) == limit:
                    break
        except AzureError as error:
            raise _unavailable(table, error) from error
        return rows

    async def ping(self) -> None:
        await self.apply(Put("health", "ping", "ping", "{}"))

    async def aclose(self) -> None:
        self._closed = True
        await self._service.close()

    async def _apply_group(self, group: Sequence[_Write]) -> Sequence[str]:
        client = await self._table(group[0].change.table)
        if len(group) > 1:
            try:
                made = await client.submit_transaction([write.operation() for write in group])
                return [str(metadata.get("etag", "")) for metadata in made]
            except AzureError:
                # Made or not, one after the other finds out: what the transaction made bears the same marks.
                pass
        return [await self._apply_one(client, write) for write in group]

    async def _apply_one(self, client: TableClient, write: _Write) -> str:
        change = write.change
        try:
            if isinstance(change, Delete):
                await client.delete_entity(escape(change.partition), escape(change.key))
                return ""
            if isinstance(change, Insert):
                made = await client.create_entity(write.entity)
            elif isinstance(change, Put):
                made = await client.upsert_entity(write.entity, mode=UpdateMode.REPLACE)
            else:
                made = await client.update_entity(write.entity, **write.condition())
        except AzureError as error:
            etag = await self._made_anyway(write, error)
            if etag is None:
                raise _refusal(change, error) from error
            return etag
        return str(made["etag"])

    async def _made_anyway(self, write: _Write, error: AzureError) -> str | None:
        """The etag if the row bears this write's mark in spite of the error."""
        change = write.change
        if isinstance(change, Delete):
            return None
        try:
            entity = await self._entity(change.table, change.partition, change.key)
        except StoreError:
            raise _unavailable(change.table, error) from error
        return _etag(entity) if entity is not None and entity.get("Mark") == write.mark else None

    async def _entity(self, table: str, partition: str, key: str) -> TableEntity | None:
        client = await self._table(table)
        try:
            return await client.get_entity(escape(partition), escape(key))
        except AzureError as error:
            if _status(error) == 404:
                return None
            raise _unavailable(table, error) from error

    async def _table(self, table: str) -> TableClient:
        """The client of a table that exists. Two first uses at a time may both try to make it."""
        if self._closed:
            raise StoreUnavailable("the Azure Tables store is closed")
        client = self._tables.get(table)
        if client is None:
            client = self._service.get_table_client(table_name(self._prefix, table))
            try:
                await client.create_table()
            except ResourceExistsError:
                pass
            except AzureError as error:
                raise _unavailable(table, error) from error
            self._tables[table] = client
        return client


class _Write:
    """A change with its mark, and the entity that it writes."""

    def __init__(self, change: Change, mark: str) -> None:
        self.change = change
        self.mark = mark
        if isinstance(change, Delete):
            self.entity = {"PartitionKey": escape(change.partition), "RowKey": escape(change.key)}
        else:
            self.entity = to_entity(change.partition, change.key, change.body, mark)

    def condition(self) -> dict[str, Any]:
        """What makes an update a replace that is fenced by the etag."""
        etag = self.change.etag if isinstance(self.change, Replace) else None
        return {"mode": UpdateMode.REPLACE, "etag": etag, "match_condition": MatchConditions.IfNotModified}

    def operation(self) -> tuple[Any, ...]:
        """The same for a transaction."""
        if isinstance(self.change, Delete):
            return ("delete", self.entity)
        if isinstance(self.change, Insert):
            return ("create", self.entity)
        if isinstance(self.change, Put):
            return ("upsert", self.entity, {"mode": UpdateMode.REPLACE})
        return ("update", self.entity, self.condition())


def _transactions(writes: Sequence[_Write]) -> Iterator[Sequence[_Write]]:
    """Neighbours of one partition together, as far as the service takes them: 100, and each row once."""
    for _, together in groupby(writes, key=lambda write: (write.change.table, write.change.partition)):
        group: list[_Write] = []
        keys: set[str] = set()
        for write in together:
            if len(group) == LARGEST_TRANSACTION or write.change.key in keys:
                yield group
                group, keys = [], set()
            group.append(write)
            keys.add(write.change.key)
        yield group


def _etag(entity: TableEntity) -> str:
    return str(entity.metadata["etag"])


def _status(error: AzureError) -> int | None:
    """The HTTP status: emulators leave out the error code."""
    return error.status_code if isinstance(error, HttpResponseError) else None


def _refusal(change: Change, error: AzureError) -> StoreError:
    status = _status(error)
    if isinstance(change, Insert) and status == 409:
        return RowExists(change.table, change.partition, change.key)
    if isinstance(change, Replace) and status in (404, 412):
        return RowChanged(change.table, change.partition, change.key)
    return _unavailable(change.table, error)


_ADVICE = {
    400: "the service does not understand the request; this is a mistake of the program",
    401: "look at the storage account's key or the app's identity",
    403: "the app needs the role Storage Table Data Contributor on the account, and its network must be let in",
    404: "the table is gone; restart the app, it makes its tables when it first uses them",
    413: "the row is too large",
    429: "the account is busy beyond its limits",
    503: "the account is busy beyond its limits",
}


def _unavailable(table: str, error: AzureError) -> StoreUnavailable:
    """Names the kind of error only: its text may hold the signature of a connection string."""
    status = _status(error)
    what = type(error).__name__ if status is None else f"status {status}"
    advice = _ADVICE.get(status or 0, "look at the storage account, its name and the network on the way to it")
    return StoreUnavailable(f"Azure table {table} cannot be used ({what}): {advice}")
