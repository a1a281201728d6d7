"""Opens the Azure Tables store.

Loaded by its name in config.settings.store_backends, as it imports Microsoft's client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.stores.backend import BackendOptions

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from scheduler.stores.azure.store import AzureTablesStore


async def open_store(options: BackendOptions) -> AzureTablesStore:
    """Open the tables of the storage account. Raises StoreUnavailable."""
    named = options.connection_string is None
    return await open_azure_tables(
        connection_string=options.connection_string,
        account_name=options.account_name,
        table_url=options.table_url,
        credential=await options.open_credential() if named else None,
        prefix=options.prefix,
    )


async def open_azure_tables(
    *,
    connection_string: str | None = None,
    account_name: str | None = None,
    table_url: str | None = None,
    credential: AsyncTokenCredential | None = None,
    prefix: str = "scheduler",
) -> AzureTablesStore:
    """Connect, and check that a row can be written. Tables are created when they are first used.

    Args:
        connection_string: of the storage account; or else
        account_name, table_url: name the account (the URL wins), and
        credential: the app's identity, with the role Storage Table Data Contributor. The caller closes it.
        prefix: letters and digits; begins the name of each table.

    Raises:
        ValueError: no account is named, or the credential for it is missing.
        StoreUnavailable: it cannot be reached, or refuses.
    """
    from scheduler.stores.azure.store import AzureTablesStore, connect_to_tables

    if connection_string is None:
        endpoint = table_url or (f"https://{account_name}.table.core.windows.net" if account_name else None)
        if endpoint is None or credential is None:
            raise ValueError("name the storage account by a connection string, or by its name with a credential")
        service = connect_to_tables(endpoint, credential)
    else:
        service = connect_to_tables(connection_string, None)
    store = AzureTablesStore(service, prefix)
    try:
        await store.ping()
    except BaseException:
        await store.aclose()
        raise
    return store
