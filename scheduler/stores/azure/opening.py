"""Opens the Azure Tables store.

Loaded by its name in config.settings.fields, as it imports Microsoft's client.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scheduler.stores.backend import BackendOptions
from scheduler.stores.rows import PING_ROW, ROW_SCHEMA, find_unfinished_restore, schema_of_ping
from scheduler.stores.runs.rollups.upkeep import count_runs_again

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.data.tables.aio import TableServiceClient

    from scheduler.stores.azure.store import AzureTablesStore
    from scheduler.stores.azure.table_scan import AzureTableScan


async def open_store(options: BackendOptions) -> AzureTablesStore:
    """Open the tables of the storage account. Raises StoreUnavailable, also for a part of a backup."""
    store = await open_azure_tables(
        connection_string=options.connection_string,
        account_name=options.account_name,
        table_url=options.table_url,
        credential=await _open_credential(options),
        prefix=options.prefix,
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
    from scheduler.stores.azure.table_scan import AzureTableScan

    service = _connect(
        options.connection_string, options.account_name, options.table_url, await _open_credential(options)
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
) -> AzureTablesStore:
    """Connect, and check that a row can be written. Tables are created when they are first used.

    If an older program has opened the tables since, the runs that it finished are counted again.

    Args:
        connection_string: of the storage account; or else
        account_name, table_url: name the account (the URL wins), and
        credential: the app's identity, with the role Storage Table Data Contributor. The caller closes it.
        prefix: letters and digits; begins the name of each table.

    Raises:
        ValueError: no account is named, or the credential for it is missing.
        StoreUnavailable: it cannot be reached, or refuses.
    """
    from scheduler.stores.azure.store import AzureTablesStore

    store = AzureTablesStore(_connect(connection_string, account_name, table_url, credential), prefix)
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
) -> TableServiceClient:
    from scheduler.stores.azure.store import connect_to_tables

    if connection_string is not None:
        return connect_to_tables(connection_string, None)
    endpoint = table_url or (f"https://{account_name}.table.core.windows.net" if account_name else None)
    if endpoint is None or credential is None:
        raise ValueError("name the storage account by a connection string, or by its name with a credential")
    return connect_to_tables(endpoint, credential)
