"""Rows in Azure Tables, over Microsoft's asynchronous client."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient

from scheduler.stores.azure.entities import azure_table_name, escape_key, to_row
from scheduler.stores.azure.errors import LostAnswers, http_status, to_store_error
from scheduler.stores.azure.transactions import AtomicGroup, TableTransaction, TransactionQueues, pack_transactions
from scheduler.stores.port import Change, Etags, Row, StoreError, StoreUnavailable, split_into_atomic_groups
from scheduler.stores.rows import PING_CHANGE

# All tries of one operation end within the half minute that a lease outlives its run.
_CLIENT_OPTIONS: dict[str, Any] = {
    "connection_timeout": 4,
    "read_timeout": 6,
    "retry_total": 3,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 2,
}

ROW_READS_AT_ONCE = 32
"""Rows that a process reads one by one at a time. A claim of hundreds of runs that others own must not flood a
partition with reads. A read takes some milliseconds, so this allows more than 3,000 a second.
"""


def connect_to_tables(
    account: str, credential: AsyncTokenCredential | None, options: Mapping[str, Any] | None = None
) -> TableServiceClient:
    """`account`: a connection string, or the account's URL with a credential. `options`: of the client, in addition."""
    options = {**_CLIENT_OPTIONS, **(options or {})}
    if credential is None:
        service = TableServiceClient.from_connection_string(account, **options)
    else:
        service = TableServiceClient(account, credential=credential, **options)
    randomize_retry_delays(service)
    return service


def randomize_retry_delays(service: TableServiceClient) -> None:
    """Randomize the client's delays between its tries, also the first one, which is 0 otherwise.

    Requests that failed together would be sent again together. All tables of the service share the policy.
    """
    for policy in service._policies:
        if isinstance(policy, AsyncRetryPolicy):
            _randomize_delay(policy)


def _randomize_delay(policy: AsyncRetryPolicy[Any, Any]) -> None:
    backoff = policy.get_backoff_time

    def get_backoff_time(settings: dict[str, Any]) -> float:
        return max(backoff(settings), policy.backoff_factor) * random.uniform(0.5, 1.5)

    setattr(policy, "get_backoff_time", get_backoff_time)  # noqa: B010  # mypy rejects a method as an attribute


class AzureTablesStore:
    """Implements scheduler.stores.port.Store: changes of one partition are a transaction."""

    def __init__(self, service: TableServiceClient, prefix: str) -> None:
        self._service = service
        self._prefix = prefix
        self._tables: dict[str, TableClient] = {}
        self._closed = False
        opening = secrets.token_hex(6)
        # All of one length, so that a query can select those of a transaction by their order.
        self._marks: Iterator[str] = (f"{opening}-{number:012d}" for number in count())
        self._lost_answers = LostAnswers()
        self._queues = TransactionQueues(self._commit)
        self._reads = asyncio.Semaphore(ROW_READS_AT_ONCE)

    async def apply(self, *changes: Change) -> Etags:
        etags: list[str] = []
        for some in split_into_atomic_groups(changes):
            step = AtomicGroup.build(some, self._marks)
            await self._queues.submit([step])
            if isinstance(step.answer, StoreError):
                raise step.answer
            etags += step.answer
        return tuple(etags)

    async def apply_each(self, groups: Sequence[Sequence[Change]]) -> Sequence[Etags | StoreError]:
        answers: list[Etags | StoreError | None] = [None] * len(groups)
        steps: dict[int, AtomicGroup] = {}
        others: dict[int, Sequence[Change]] = {}
        for number, changes in enumerate(groups):
            if len([*split_into_atomic_groups(changes)]) == 1:
                try:
                    steps[number] = AtomicGroup.build(changes, self._marks)
                except StoreError as error:
                    answers[number] = error
            else:
                others[number] = changes
        alone = asyncio.gather(*(self._apply(changes) for changes in others.values()))
        await asyncio.gather(*(self._queues.submit(pack) for pack in pack_transactions(steps.values())))
        made = {number: step.answer for number, step in steps.items()} | dict(zip(others, await alone, strict=True))
        return [answer if answer is not None else made[number] for number, answer in enumerate(answers)]

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        client = await self._table_client(table)
        try:
            async with self._reads:
                entity = await client.get_entity(escape_key(partition), escape_key(key))
        except AzureError as error:
            if http_status(error) == 404:
                return None
            raise to_store_error(table, error) from error
        return to_row(entity, _etag_of(entity))

    async def list_rows(
        self, table: str, partition: str, *, after: str = "", until: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        client = await self._table_client(table)
        entities = client.query_entities(
            "PartitionKey eq @partition and RowKey gt @after" + (" and RowKey lt @until" if until else ""),
            parameters={"partition": escape_key(partition), "after": escape_key(after), "until": escape_key(until)},
            results_per_page=limit,
            select=None if bodies else ["PartitionKey", "RowKey"],
        )
        rows: list[Row] = []
        try:
            # A page may be empty and still not be the last one; the iterator continues until it is.
            async for entity in entities:
                rows.append(to_row(entity, _etag_of(entity)))
                if len(rows) == limit:
                    break
        except AzureError as error:
            raise to_store_error(table, error) from error
        return rows

    async def ping(self) -> None:
        await self.apply(PING_CHANGE)

    async def aclose(self) -> None:
        self._closed = True
        await self._queues.aclose()
        await self._service.close()

    async def _apply(self, changes: Sequence[Change]) -> Etags | StoreError:
        try:
            return await self.apply(*changes)
        except StoreError as error:
            return error

    async def _commit(self, steps: Sequence[AtomicGroup]) -> None:
        """Make groups of one table and partition."""
        table, _ = steps[0].partition_id
        try:
            client = await self._table_client(table)
        except StoreUnavailable as error:
            for step in steps:
                step.error = error
            return
        await TableTransaction(table, client, self._lost_answers).commit(steps)

    async def _table_client(self, table: str) -> TableClient:
        """Return the client of a table that exists. Two concurrent first uses may both try to create it."""
        if self._closed:
            raise StoreUnavailable("the Azure Tables store is closed")
        client = self._tables.get(table)
        if client is None:
            client = self._service.get_table_client(azure_table_name(self._prefix, table))
            try:
                await client.create_table()
            except ResourceExistsError:
                pass
            except AzureError as error:
                raise to_store_error(table, error) from error
            self._tables[table] = client
        return client


def _etag_of(entity: TableEntity) -> str:
    return str(entity.metadata["etag"])
