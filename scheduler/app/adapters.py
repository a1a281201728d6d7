"""Opens the store that the settings name. Called by foundation and reading, which close it.

What only one kind of store needs is imported where it is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.identity import AppIdentity
from config.settings.model import Settings
from scheduler.stores.port import Store

if TYPE_CHECKING:
    from scheduler.stores.sqlite.file_check import FileCheck


def describe_store_location(settings: Settings) -> str:
    """What to look at when it does not answer."""
    if settings.uses_azure_storage:
        return "the storage account of the tables: its network, its firewall, and how busy it is"
    return f"the disk of {settings.store}, and at who else uses the file"


async def open_store(settings: Settings, identity: AppIdentity, *, owns_file: bool) -> Store:
    """Open the store. `owns_file`: a SQLite file is for this process alone. Raises StoreUnavailable."""
    storage = settings.storage
    if not settings.uses_azure_storage:
        from scheduler.stores.sqlite.store import StoreAccess, open_sqlite, sqlite_path

        return await open_sqlite(sqlite_path(settings.store), StoreAccess.OWN if owns_file else StoreAccess.SHARED)
    from scheduler.stores.azure.opening import open_azure_tables

    if storage.connection_string is not None:
        return await open_azure_tables(
            connection_string=storage.connection_string.get_secret_value(), prefix=storage.prefix
        )
    return await open_azure_tables(
        account_name=storage.account_name,
        table_url=storage.table_url,
        credential=await identity.open_credential(),
        prefix=storage.prefix,
    )


def find_file_check(store: Store) -> FileCheck | None:
    """What looks whether the store's file is damaged; None if it has no file."""
    from scheduler.stores.sqlite.store import SqliteStore

    return store.file_check if isinstance(store, SqliteStore) else None
