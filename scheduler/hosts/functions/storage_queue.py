"""Opens the storage queue of the Functions host. Called by program, which closes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.identity import AppIdentity
from config.settings.model import Settings
from jobs.ports import Clock
from scheduler.dispatch.queue_names import run_queue_name

if TYPE_CHECKING:
    from scheduler.dispatch.azure_queue import AzureQueueDepthReader, AzureQueueDispatch


async def open_queue(settings: Settings, identity: AppIdentity, clock: Clock) -> AzureQueueDispatch:
    """Where tickets go to. Raises DispatchError."""
    from scheduler.dispatch.azure_queue import open_azure_queue

    return await open_azure_queue(**await _queue_connection(settings, identity, clock))


async def open_queue_depth(settings: Settings, identity: AppIdentity, clock: Clock) -> AzureQueueDepthReader:
    """How much waits there. Raises DispatchError."""
    from scheduler.dispatch.azure_queue import open_azure_depth_reader

    return open_azure_depth_reader(**await _queue_connection(settings, identity, clock))


async def _queue_connection(settings: Settings, identity: AppIdentity, clock: Clock) -> dict[str, Any]:
    storage = settings.storage
    return {
        "queue_name": run_queue_name(storage.prefix),
        "connection_string": storage.connection_string.get_secret_value() if storage.connection_string else None,
        "url": storage.queue_url or f"https://{storage.account_name}.queue.core.windows.net",
        "credential": None if storage.connection_string else await identity.open_credential(),
        "now": clock.now,
    }
