"""Reads the length of an Azure Storage Queue and of its poison queue: three small operations.

Opened by scheduler.hosts.functions.storage_queue.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from scheduler.dispatch.azure_queue import create_queue_client, error_kind
from scheduler.dispatch.batches import InvalidBatchMessage, decode_batch
from scheduler.dispatch.port import DispatchError, QueueDepth
from scheduler.dispatch.queue_names import poison_queue_name

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient


class AzureQueueDepthReader:
    """Implements dispatch.port.Depths."""

    def __init__(self, queue: QueueClient, poison: QueueClient, now: Callable[[], datetime]) -> None:
        self._queue = queue
        self._poison = poison
        self._now = now

    async def read_depth(self) -> QueueDepth:
        """Raises DispatchError."""
        from azure.core.exceptions import AzureError

        try:
            waiting, oldest, poison = await asyncio.gather(
                _message_count(self._queue), self._oldest_age_s(), _message_count(self._poison)
            )
        except AzureError as error:
            raise DispatchError(
                f"could not read the length of queue {self._queue.queue_name!r} "
                f"({error_kind(error)}): check the storage "
                "account and the app's role on it (Storage Queue Data Contributor)"
            ) from error
        return QueueDepth(waiting, oldest, poison)

    async def aclose(self) -> None:
        await asyncio.gather(self._queue.close(), self._poison.close())

    async def _oldest_age_s(self) -> float | None:
        """Return the seconds for which the first message has been ready; None if no message is visible."""
        messages = await self._queue.peek_messages(max_messages=1)
        if not messages:
            return None
        return max(0.0, (self._now() - _ready_at(messages[0], self._now())).total_seconds())


def open_azure_depth_reader(
    queue_name: str,
    *,
    connection_string: str | None,
    url: str,
    credential: AsyncTokenCredential | None,
    now: Callable[[], datetime],
) -> AzureQueueDepthReader:
    """Connect to both queues, without a request. See open_azure_queue, which creates the queue."""

    def client(name: str) -> QueueClient:
        return create_queue_client(name, connection_string=connection_string, url=url, credential=credential)

    return AzureQueueDepthReader(client(queue_name), client(poison_queue_name(queue_name)), now)


async def _message_count(queue: QueueClient) -> int:
    """Return the number of messages, hidden ones included; 0 without a queue, such as an unused poison queue."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return int((await queue.get_queue_properties()).approximate_message_count or 0)
    except ResourceNotFoundError:
        return 0


def _ready_at(message: QueueMessage, now: datetime) -> datetime:
    """Return when the message is ready: it is sent early, and hidden until shortly before its tickets' instants."""
    sent_at: datetime = message.inserted_on or now
    try:
        tickets = decode_batch(base64.b64decode(message.content, validate=True)).tickets
    except (InvalidBatchMessage, binascii.Error):
        return sent_at
    return max(sent_at, min(ticket.due_at for ticket in tickets))
