"""Opens the store that the settings name.

Called by scheduler.app.program, scheduler.app.read_only and scheduler.app.backup_opening, which close it.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from config.identity import AppIdentity
from config.outbound import build_outbound
from config.settings.fields import STORE_BACKENDS
from config.settings.model import Settings
from jobs.checks.outbound import DIRECT
from scheduler.stores.backend import BackendOptions
from scheduler.stores.port import Store

if TYPE_CHECKING:
    from scheduler.stores.sqlite.whole_file import FileCheck


def describe_store_location(settings: Settings) -> str:
    """Return what to check when it does not answer."""
    if settings.uses_azure_storage:
        return "the storage account of the tables: its network, its firewall, and its load"
    return f"the disk of {settings.store}, and other processes that use the file"


async def open_store(settings: Settings, identity: AppIdentity, *, owns_file: bool) -> Store:
    """Open the store. `owns_file`: a file is for this process alone. Raises StoreUnavailable."""
    store: Store = await find_backend(settings).open_store(backend_options(settings, identity, owns_file=owns_file))
    return store


def find_backend(settings: Settings) -> ModuleType:
    """Return the module of the store's backend."""
    return import_module(STORE_BACKENDS[settings.store.partition(":")[0]])


def backend_options(
    settings: Settings, identity: AppIdentity, *, owns_file: bool, is_restoring: bool = False
) -> BackendOptions:
    secret = settings.storage.connection_string
    return BackendOptions(
        url=settings.store,
        owns_file=owns_file,
        is_restoring=is_restoring,
        open_credential=identity.open_credential,
        connection_string=None if secret is None else secret.get_secret_value(),
        account_name=settings.storage.account_name,
        table_url=settings.storage.table_url,
        prefix=settings.storage.prefix,
        client_options=find_client_options(settings),
    )


def find_client_options(settings: Settings) -> dict[str, Any]:
    """Return the options of Azure's storage client; its libraries are not imported without need."""
    if not settings.uses_azure_storage or build_outbound(settings) == DIRECT:
        return {}
    from config.azure_clients import create_client_options

    return create_client_options(settings)


def find_file_check(store: Store) -> FileCheck | None:
    """Return the check of the store's file for damage; None if it has no file."""
    from scheduler.stores.sqlite.store import SqliteStore

    return store.file_check if isinstance(store, SqliteStore) else None
