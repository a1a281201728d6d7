"""Dispatch over an Azure Storage Queue, whose readers the Functions platform scales out.

The queue function of function_app.py reads the messages. The lengths of the queue and of its poison queue are three
small operations.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobs.formats import format_count
from jobs.runs import Ticket
from scheduler.dispatch.batches import InvalidBatchMessage, TicketBatch, decode_batch, encode_batch, split_into_batches
from scheduler.dispatch.port import DispatchError, QueueDepth
from scheduler.dispatch.queue_names import poison_queue_name

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import AzureError
    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

MAX_CONCURRENT_SENDS = 8
"""Messages that are sent at a time: a tick with 10,000 tickets sends a hundred."""

MAX_VISIBILITY_TIMEOUT = 6 * 86_400
"""Seconds: Azure retains a message for seven days. A ticket that is due later is sent again when it arrives."""

# With the SDK's defaults, an HTTP caller would wait for more than a minute. Two retries, each after 0 to 2 s.
_CLIENT_OPTIONS: dict[str, Any] = {
    "connection_timeout": 4,
    "read_timeout": 6,
    "retry_total": 2,
    "initial_backoff": 0,
    "increment_base": 1,
    "random_jitter_range": 1,
}


class AzureQueueDispatch:
    """Sends batches, each visible shortly before its slice."""

    def __init__(self, client: QueueClient, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._send_limit = asyncio.Semaphore(MAX_CONCURRENT_SENDS)

    async def send(self, tickets: Sequence[Ticket], *, not_before: datetime | None = None) -> None:
        """Send the tickets in batches, several at a time, earliest first. A failure stops no other batch.

        Raises:
            DispatchError: the first failure.
        """
        batches = split_into_batches(tickets, self._now())
        sending = (self._send(batch, not_before) for batch in batches)
        refused = [error for error in await asyncio.gather(*sending, return_exceptions=True) if error is not None]
        if refused:
            raise refused[0]

    async def _send(self, batch: TicketBatch, not_before: datetime | None) -> None:
        from azure.core.exceptions import AzureError

        async with self._send_limit:
            now = self._now()
            if not_before is None:
                hidden = int(batch.visibility_timeout(now))  # rounded down: the worker waits for the instant
            else:
                hidden = math.ceil(max(0.0, (not_before - now).total_seconds()))
            try:
                await self._client.send_message(
                    encode_batch(batch), visibility_timeout=min(hidden, MAX_VISIBILITY_TIMEOUT)
                )
            except AzureError as error:
                raise DispatchError(
                    f"could not send {format_count(len(batch.tickets), 'ticket')} to queue {self._client.queue_name!r} "
                    f"({error_kind(error)}): check the storage account and the app's role on it "
                    "(Storage Queue Data Contributor)"
                ) from error

    async def aclose(self) -> None:
        await self._client.close()


async def open_azure_queue(
    queue_name: str,
    *,
    connection_string: str | None,
    url: str,
    credential: AsyncTokenCredential | None,
    now: Callable[[], datetime],
    create_options: Callable[[], Mapping[str, Any]] = dict,
) -> AzureQueueDispatch:
    """Connect, and create the queue if it is missing. `url` and `credential` apply without a connection string.

    Raises:
        DispatchError: the queue cannot be opened.
    """
    from azure.core.exceptions import AzureError, ResourceExistsError

    client = create_queue_client(
        queue_name,
        connection_string=connection_string,
        url=url,
        credential=credential,
        create_options=create_options,
    )
    try:
        await client.create_queue()
    except ResourceExistsError:
        pass
    except AzureError as error:
        await client.close()
        raise DispatchError(
            f"could not open queue {queue_name!r} ({error_kind(error)}): check the storage account, the network "
            "route to it and the app's role on it (Storage Queue Data Contributor)"
        ) from error
    return AzureQueueDispatch(client, now)


def create_queue_client(
    queue_name: str,
    *,
    connection_string: str | None,
    url: str,
    credential: AsyncTokenCredential | None,
    create_options: Callable[[], Mapping[str, Any]] = dict,
) -> QueueClient:
    """Return the SDK's client of one queue with our timeouts, without a request. `create_options`: further ones."""
    from azure.storage.queue import TextBase64EncodePolicy
    from azure.storage.queue.aio import QueueClient

    # The Functions host reads base64 (host.json: messageEncoding).
    options = {**_CLIENT_OPTIONS, "message_encode_policy": TextBase64EncodePolicy(), **create_options()}
    if connection_string is not None:
        return QueueClient.from_connection_string(connection_string, queue_name, **options)
    return QueueClient(url, queue_name, credential=credential, **options)


def error_kind(error: AzureError) -> str:
    """Return the kind of an error without its text, which may contain the signature of a connection string."""
    status = getattr(error, "status_code", None)
    return type(error).__name__ if status is None else f"status {status}"


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
    create_options: Callable[[], Mapping[str, Any]] = dict,
) -> AzureQueueDepthReader:
    """Connect to both queues, without a request. See open_azure_queue, which creates the queue."""

    def client(name: str) -> QueueClient:
        return create_queue_client(
            name,
            connection_string=connection_string,
            url=url,
            credential=credential,
            create_options=create_options,
        )

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
