"""Opens what backups need: the store, to read all of it or to restore into it, and a container for the file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from config.identity import AppIdentity
from config.settings.model import Settings
from scheduler.app.adapters import backend_options, find_backend, open_store
from scheduler.features.backup.locations import ContainerLocation
from scheduler.features.backup.port import RestoreTarget
from scheduler.features.backup.tables import STORED_TABLES
from scheduler.features.backup.targets import FileTarget, TableTarget
from scheduler.stores.port import Store, StoreScan, StoreUnavailable
from scheduler.stores.sqlite.connections import StoreAccess, open_connections
from scheduler.stores.sqlite.file_lock import FileLock

if TYPE_CHECKING:
    from scheduler.features.backup.containers import BackupContainer


def describe_store(settings: Settings) -> str:
    """Return the store's name for operators."""
    return f"azure, prefix {settings.storage.prefix}" if settings.uses_azure_storage else settings.store


@contextmanager
def hold_file(settings: Settings) -> Iterator[None]:
    """Keep schedulers from using a SQLite file meanwhile. Raises StoreUnavailable: one uses it."""
    path = settings.sqlite_path
    if path is None or not path.exists():
        yield
        return
    lock = FileLock(path)
    if not lock.acquire(0.0):
        raise StoreUnavailable(f"store {path} is in use by a scheduler (process {lock.read_owner()}): stop that one")
    try:
        yield
    finally:
        lock.release()


async def upgrade_store(settings: Settings, report: Callable[[str], None]) -> None:
    """Open the store as a scheduler does, which upgrades it. `report` gets the progress. Raises StoreError."""
    path = settings.sqlite_path
    if path is not None:
        if not path.exists():
            raise StoreUnavailable(f"store {path} does not exist: check SCHEDULER_STORE or --store")
        connections = await asyncio.to_thread(open_connections, path, StoreAccess.OWN, report)
        await asyncio.to_thread(connections.close)
        return
    identity = AppIdentity(settings)
    try:
        await (await open_store(settings, identity, owns_file=True)).aclose()
    finally:
        await identity.aclose()


@asynccontextmanager
async def open_store_scan(settings: Settings) -> AsyncIterator[StoreScan]:
    """Open the store next to a running server. Raises StoreError."""
    identity = AppIdentity(settings)
    try:
        scan = await _open_scan(settings, identity)
        try:
            yield scan
        finally:
            await scan.aclose()
    finally:
        await identity.aclose()


@asynccontextmanager
async def open_restore_target(settings: Settings, now: datetime) -> AsyncIterator[RestoreTarget]:
    """Open the store that a backup is restored to. Raises StoreError."""
    if settings.sqlite_path is not None:
        file = FileTarget(settings.sqlite_path, now)
        try:
            yield file
        finally:
            await file.aclose()
        return
    identity = AppIdentity(settings)
    try:
        options = backend_options(settings, identity, owns_file=True, is_restoring=True)
        store: Store = await find_backend(settings).open_store(options)
        try:
            scan = await _open_scan(settings, identity)
            try:
                yield TableTarget(store, scan, f"store {describe_store(settings)}")
            finally:
                await scan.aclose()
        finally:
            await store.aclose()
    finally:
        await identity.aclose()


async def _open_scan(settings: Settings, identity: AppIdentity) -> StoreScan:
    backend = find_backend(settings)
    if not hasattr(backend, "open_scan"):
        raise StoreUnavailable(f"the backend of store {settings.store} cannot be read as a whole")
    scan: StoreScan = await backend.open_scan(backend_options(settings, identity, owns_file=False), [*STORED_TABLES])
    return scan


@asynccontextmanager
async def open_container(settings: Settings, location: ContainerLocation) -> AsyncIterator[BackupContainer]:
    """Open the container of a backup, with the app's identity or the connection string. Raises ValueError."""
    from scheduler.features.backup.containers import connect

    identity = AppIdentity(settings)
    try:
        secret = None if location.account_url else settings.storage.connection_string
        container = connect(
            location,
            None if secret is None else secret.get_secret_value(),
            settings.storage.account_name,
            None if secret is not None else await identity.open_credential(),
        )
        try:
            yield container
        finally:
            await container.aclose()
    finally:
        await identity.aclose()
