"""Which store and which queue the settings ask for, and how they are opened. Called by building, which closes them.

What only one of them needs is imported where it is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.identity import Identity
from config.settings import Settings
from jobs.ports import Clock
from scheduler.app.program import Role
from scheduler.dispatch.queues import run_queue
from scheduler.stores.port import Store

if TYPE_CHECKING:
    from scheduler.dispatch.azure_depth import AzureQueueDepth
    from scheduler.dispatch.azure_queue import AzureQueueDispatch
    from scheduler.stores.sqlite_check import FileCheck


def place_of_store(settings: Settings) -> str:
    """What to look at when it does not answer."""
    if settings.on_azure_storage:
        return "the storage account of the tables: its network, its firewall, and how busy it is"
    return f"the disk of {settings.store}, and at who else uses the file"


async def open_store(settings: Settings, identity: Identity, role: Role) -> Store:
    """Raises StoreUnavailable."""
    storage = settings.storage
    if not settings.on_azure_storage:
        from scheduler.stores.sqlite import Access, open_sqlite, sqlite_path

        return await open_sqlite(sqlite_path(settings.store), Access.SHARED if role is Role.TOOL else Access.OWN)
    from scheduler.stores.azure_tables import open_azure_tables

    if storage.connection_string is not None:
        return await open_azure_tables(
            connection_string=storage.connection_string.get_secret_value(), prefix=storage.prefix
        )
    return await open_azure_tables(
        account_name=storage.account_name,
        table_url=storage.table_url,
        credential=await identity.credential(),
        prefix=storage.prefix,
    )


def file_check(store: Store) -> FileCheck | None:
    """What looks whether the store's file is damaged; None if it has no file."""
    from scheduler.stores.sqlite import SqliteStore

    return store.check if isinstance(store, SqliteStore) else None


async def open_queue(settings: Settings, identity: Identity, clock: Clock) -> AzureQueueDispatch:
    """Where tickets go to. Raises DispatchError."""
    from scheduler.dispatch.azure_queue import open_azure_queue

    return await open_azure_queue(**await _address_of_queue(settings, identity, clock))


async def open_depth(settings: Settings, identity: Identity, clock: Clock) -> AzureQueueDepth:
    """How much waits there. Raises DispatchError."""
    from scheduler.dispatch.azure_depth import open_azure_depth

    return open_azure_depth(**await _address_of_queue(settings, identity, clock))


async def _address_of_queue(settings: Settings, identity: Identity, clock: Clock) -> dict[str, Any]:
    storage = settings.storage
    return {
        "queue_name": run_queue(storage.prefix),
        "connection_string": storage.connection_string.get_secret_value() if storage.connection_string else None,
        "url": storage.queue_url or f"https://{storage.account_name}.queue.core.windows.net",
        "credential": None if storage.connection_string else await identity.credential(),
        "now": clock.now,
    }
