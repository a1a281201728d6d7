"""Opens the storage queue of the Functions host. Called by program, which closes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.identity import Identity
from config.settings import Settings
from jobs.ports import Clock
from scheduler.dispatch.queues import run_queue

if TYPE_CHECKING:
    from scheduler.dispatch.azure_depth import AzureQueueDepth
    from scheduler.dispatch.azure_queue import AzureQueueDispatch


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
