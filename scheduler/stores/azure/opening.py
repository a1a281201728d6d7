"""Opens the Azure Tables store, or a scan of all rows next to the app.

Loaded by its name in config.settings.fields, as it imports Microsoft's client. Azure Tables has no snapshot: each row
of a scan is as it was when it was read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.data.tables.aio import TableServiceClient

from scheduler.stores.azure.entities import azure_table_name, escape_key, to_row
from scheduler.stores.azure.errors import http_status, to_store_error
from scheduler.stores.azure.store import AzureTablesStore, connect_to_tables
from scheduler.stores.backend import BackendOptions
from scheduler.stores.port import MAX_PAGE, Row
from scheduler.stores.rows import PING_ROW, ROW_SCHEMA, find_unfinished_restore, schema_of_ping
from scheduler.stores.runs.rollups.upkeep import count_runs_again


async def open_store(options: BackendOptions) -> AzureTablesStore:
    """Open the tables of the storage account. Raises StoreUnavailable, also for a part of a backup."""
    store = await open_azure_tables(
        connection_string=options.connection_string,
        account_name=options.account_name,
        table_url=options.table_url,
        credential=await _open_credential(options),
        prefix=options.prefix,
        client_options=options.client_options,
    )
    try:
        if not options.is_restoring and (unfinished := await find_unfinished_restore(store)) is not None:
            raise unfinished
    except BaseException:
        await store.aclose()
        raise
    return store


async def open_scan(options: BackendOptions, known_tables: Sequence[str]) -> AzureTableScan:
    """Connect for reading. Raises ValueError as `open_azure_tables`."""

    credential = await _open_credential(options)
    service = _connect(
        options.connection_string, options.account_name, options.table_url, credential, options.client_options
    )
    return AzureTableScan(service, options.prefix, known_tables)


async def _open_credential(options: BackendOptions) -> AsyncTokenCredential | None:
    return await options.open_credential() if options.connection_string is None else None


async def open_azure_tables(
    *,
    connection_string: str | None = None,
    account_name: str | None = None,
    table_url: str | None = None,
    credential: AsyncTokenCredential | None = None,
    prefix: str = "scheduler",
    client_options: Mapping[str, Any] | None = None,
) -> AzureTablesStore:
    """Connect, and check that a row can be written. Tables are created when they are first used.

    If an older program has opened the tables since, the runs that it finished are counted again.

    Args:
        connection_string: of the storage account; or else
        account_name, table_url: name the account (the URL wins), and
        credential: the app's identity, with the role Storage Table Data Contributor. The caller closes it.
        prefix: letters and digits; begins the name of each table.
        client_options: of Azure's client.

    Raises:
        ValueError: no account is named, or the credential for it is missing.
        StoreUnavailable: it cannot be reached, or refuses.
    """
    store = AzureTablesStore(_connect(connection_string, account_name, table_url, credential, client_options), prefix)
    try:
        before = await store.get_row(*PING_ROW)
        if schema_of_ping(before) < ROW_SCHEMA:
            await count_runs_again(store)
        await store.ping()
    except BaseException:
        await store.aclose()
        raise
    return store


def _connect(
    connection_string: str | None,
    account_name: str | None,
    table_url: str | None,
    credential: AsyncTokenCredential | None,
    options: Mapping[str, Any] | None,
) -> TableServiceClient:
    if connection_string is not None:
        return connect_to_tables(connection_string, None, options)
    endpoint = table_url or (f"https://{account_name}.table.core.windows.net" if account_name else None)
    if endpoint is None or credential is None:
        raise ValueError("name the storage account by a connection string, or by its name with a credential")
    return connect_to_tables(endpoint, credential, options)


class AzureTableScan:
    """Implements scheduler.stores.port.StoreScan. `known_tables`: the names without which underscores are lost."""

    is_snapshot = False

    def __init__(self, service: TableServiceClient, prefix: str, known_tables: Sequence[str]) -> None:
        self._service = service
        self._prefix = prefix
        self._known = {azure_table_name(prefix, table): table for table in known_tables}

    async def read_schema(self) -> int:
        return schema_of_ping(await self.get_row(*PING_ROW))

    async def count_rows(self) -> Mapping[str, int | None]:
        tables: dict[str, int | None] = {}
        try:
            async for item in self._service.list_tables():
                if item.name.startswith(self._prefix):
                    tables[self._known.get(item.name, item.name)] = None
        except AzureError as error:
            raise to_store_error(f"{self._prefix}*", error) from error
        return tables

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        client = self._service.get_table_client(azure_table_name(self._prefix, table))
        try:
            entity = await client.get_entity(escape_key(partition), escape_key(key))
        except AzureError as error:
            if http_status(error) == 404:
                return None
            raise to_store_error(table, error) from error
        return to_row(entity, str(entity.metadata["etag"]))

    async def read_table(self, table: str) -> AsyncIterator[Sequence[Row]]:
        client = self._service.get_table_client(azure_table_name(self._prefix, table))
        try:
            async for page in client.list_entities(results_per_page=MAX_PAGE).by_page():
                if rows := [to_row(entity, str(entity.metadata["etag"])) async for entity in page]:
                    yield rows
        except AzureError as error:
            if http_status(error) != 404:  # it was deleted meanwhile
                raise to_store_error(table, error) from error

    async def find_damage(self) -> str:
        return ""

    async def aclose(self) -> None:
        await self._service.close()
