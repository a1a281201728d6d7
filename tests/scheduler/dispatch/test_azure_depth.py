"""How much is on a Storage Queue, as Azurite counts it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.queue.aio import QueueClient

from jobs.runs import Ticket
from scheduler.dispatch.azure_queue import (
    _CLIENT_OPTIONS,
    AzureQueueDepthReader,
    AzureQueueDispatch,
    open_azure_depth_reader,
    open_azure_queue,
)
from scheduler.dispatch.port import DispatchError, QueueDepth
from scheduler.dispatch.queue_names import poison_queue_name
from tests.parts.azurite import Azurite
from tests.parts.proc import free_port


class Later:
    """Now, or some seconds later."""

    seconds = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)


@pytest.fixture
def now() -> Later:
    return Later()


@pytest.fixture
def name(storage_prefix: str) -> str:
    return f"{storage_prefix}-runs"


@pytest.fixture
async def dispatch(azurite: Azurite, name: str, now: Later) -> AsyncIterator[AzureQueueDispatch]:
    opened = await open_azure_queue(name, connection_string=azurite.connection_string, url="", credential=None, now=now)
    yield opened
    await opened.aclose()


@pytest.fixture
async def depths(azurite: Azurite, name: str, now: Later) -> AsyncIterator[AzureQueueDepthReader]:
    opened = open_azure_depth_reader(
        name, connection_string=azurite.connection_string, url="", credential=None, now=now
    )
    yield opened
    await opened.aclose()


def ticket(seconds: float) -> Ticket:
    return Ticket.scheduled("checkout", datetime.now(UTC) + timedelta(seconds=seconds), "abc123")


async def test_an_empty_queue_and_a_poison_queue_that_is_missing_hold_nothing(
    dispatch: AzureQueueDispatch, depths: AzureQueueDepthReader
) -> None:
    assert await depths.read_depth() == QueueDepth(0)


async def test_hidden_messages_count_and_do_not_wait(
    dispatch: AzureQueueDispatch, depths: AzureQueueDepthReader
) -> None:
    await dispatch.send([ticket(60)])

    assert await depths.read_depth() == QueueDepth(1)


async def test_the_oldest_visible_message_waits_from_its_instant_on(
    dispatch: AzureQueueDispatch, depths: AzureQueueDepthReader, now: Later
) -> None:
    await dispatch.send([ticket(4)])
    now.seconds = 34

    found = await depths.read_depth()

    assert found.waiting_count == 1
    assert found.oldest_s == pytest.approx(30, abs=1)


async def test_a_message_that_is_no_batch_waits_from_when_it_was_sent(
    azurite: Azurite, name: str, dispatch: AzureQueueDispatch, depths: AzureQueueDepthReader, now: Later
) -> None:
    async with QueueClient.from_connection_string(azurite.connection_string, name) as client:
        await client.send_message("no base64, no batch")
    now.seconds = 10

    assert (await depths.read_depth()).oldest_s == pytest.approx(10, abs=1.5)


async def test_poison_messages_are_counted(
    azurite: Azurite, name: str, dispatch: AzureQueueDispatch, depths: AzureQueueDepthReader
) -> None:
    async with QueueClient.from_connection_string(azurite.connection_string, poison_queue_name(name)) as client:
        await client.create_queue()
        for _ in range(3):
            await client.send_message("poison")

    assert await depths.read_depth() == QueueDepth(0, None, 3)


async def test_an_account_that_is_unavailable_is_reported_without_its_key(
    monkeypatch: pytest.MonkeyPatch, now: Later
) -> None:
    monkeypatch.setitem(_CLIENT_OPTIONS, "retry_total", 0)
    key = base64.b64encode(b"a key that nobody should see").decode()
    account = f"AccountName=a;AccountKey={key};QueueEndpoint=http://127.0.0.1:{free_port()}/a"
    depths = open_azure_depth_reader("scheduler-runs", connection_string=account, url="", credential=None, now=now)

    with pytest.raises(
        DispatchError, match=r"could not read the length of queue 'scheduler-runs' \(ServiceRequestError\)"
    ) as caught:
        await depths.read_depth()

    await depths.aclose()
    assert key not in repr(caught.value)
