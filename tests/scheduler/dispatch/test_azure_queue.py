"""Batches on a Storage Queue, as Azurite keeps them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from jobs.runs import Ticket
from scheduler.dispatch.azure_queue import _CLIENT_OPTIONS, MAX_VISIBILITY_TIMEOUT, AzureQueueDispatch, open_azure_queue
from scheduler.dispatch.batches import decode_batch
from scheduler.dispatch.port import DispatchError
from tests.parts.azurite import Azurite
from tests.parts.proc import free_port

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def ticket(seconds: float, job: str = "checkout") -> Ticket:
    return Ticket.scheduled(job, NOW + timedelta(seconds=seconds), "abc123")


class Recording(QueueClient):
    """Microsoft's client, which keeps what the service said to each message."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sent: list[QueueMessage] = []

    async def send_message(self, content: object | None, **options: Any) -> QueueMessage:
        self.sent.append(await super().send_message(content, **options))
        return self.sent[-1]

    @property
    def delays(self) -> list[float]:
        """Seconds for which each message is hidden."""
        return [_delay(sent.inserted_on, sent.next_visible_on) for sent in self.sent]


def _delay(inserted_on: datetime | None, visible_on: datetime | None) -> float:
    assert inserted_on is not None
    assert visible_on is not None
    return (visible_on - inserted_on).total_seconds()


@pytest.fixture
async def queue(azurite: Azurite, storage_prefix: str) -> AsyncIterator[Recording]:
    async with Recording.from_connection_string(azurite.connection_string, f"{storage_prefix}-q") as client:
        await client.create_queue()
        yield client


@pytest.fixture
def dispatch(queue: Recording) -> AzureQueueDispatch:
    return AzureQueueDispatch(queue, lambda: NOW)


async def test_the_queue_is_made_when_it_is_missing_and_messages_are_base64(
    azurite: Azurite, storage_prefix: str
) -> None:
    name = f"{storage_prefix}-new"
    for _ in range(2):
        dispatch = await open_azure_queue(
            name, connection_string=azurite.connection_string, url="", credential=None, now=lambda: NOW
        )
        await dispatch.send([ticket(0)])
        await dispatch.aclose()

    async with QueueClient.from_connection_string(azurite.connection_string, name) as client:
        messages = [message async for message in client.receive_messages()]
    assert [decode_batch(base64.b64decode(message.content)).tickets for message in messages] == [(ticket(0),)] * 2


async def test_a_batch_is_hidden_until_shortly_before_its_first_instant(
    dispatch: AzureQueueDispatch, queue: Recording
) -> None:
    await dispatch.send([ticket(0), ticket(3), ticket(18.7), ticket(62)])

    assert sorted(queue.delays) == pytest.approx([0, 13, 57], abs=0.01)  # whole seconds, rounded down


async def test_a_ticket_that_a_user_holds_is_hidden_until_that_is_over(
    dispatch: AzureQueueDispatch, queue: Recording
) -> None:
    await dispatch.send([ticket(-30)], not_before=NOW + timedelta(seconds=41.2))

    assert queue.delays == pytest.approx([42], abs=0.01)  # rounded up: before, it would only be sent again


async def test_an_instant_that_has_passed_hides_nothing(dispatch: AzureQueueDispatch, queue: Recording) -> None:
    await dispatch.send([ticket(-30)], not_before=NOW - timedelta(seconds=1))

    assert queue.delays == [0]


async def test_what_is_due_after_the_queue_would_forget_it_shows_up_before(
    dispatch: AzureQueueDispatch, queue: Recording
) -> None:
    await dispatch.send([ticket(300 * 86_400)])

    assert queue.delays == pytest.approx([MAX_VISIBILITY_TIMEOUT], abs=0.01)


async def test_very_many_tickets_of_one_instant_travel_in_messages_that_the_service_takes(
    azurite: Azurite, storage_prefix: str
) -> None:
    tickets = [ticket(0, f"{'job' * 40}{number}") for number in range(500)]
    dispatch = await open_azure_queue(
        f"{storage_prefix}-many",
        connection_string=azurite.connection_string,
        url="",
        credential=None,
        now=lambda: NOW,
    )

    await dispatch.send(tickets)

    await dispatch.aclose()
    async with QueueClient.from_connection_string(azurite.connection_string, f"{storage_prefix}-many") as client:
        messages = [message async for message in client.receive_messages(max_messages=32)]
    found = [each for message in messages for each in decode_batch(base64.b64decode(message.content)).tickets]
    assert sorted(each.job for each in found) == sorted(each.job for each in tickets)
    assert len(messages) > 1
    assert max(len(message.content) for message in messages) <= 64 * 1024


async def test_an_account_that_is_unavailable_is_reported_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_CLIENT_OPTIONS, "retry_total", 0)
    key = base64.b64encode(b"a key that nobody should see").decode()
    account = f"AccountName=a;AccountKey={key};QueueEndpoint=http://127.0.0.1:{free_port()}/a"

    with pytest.raises(DispatchError) as caught:
        await open_azure_queue("scheduler-runs", connection_string=account, url="", credential=None, now=lambda: NOW)

    assert str(caught.value).startswith("could not open queue 'scheduler-runs' (ServiceRequestError): check")
    assert key not in repr(caught.value)


async def test_an_account_that_refuses_is_reported_with_its_status(azurite: Azurite) -> None:
    other = base64.b64encode(b"another key").decode()
    account = f"AccountName={azurite.account};AccountKey={other};QueueEndpoint={azurite.queue_url}"

    with pytest.raises(DispatchError, match=r"could not open queue .* \(status 403\): .* role on it"):
        await open_azure_queue("scheduler-runs", connection_string=account, url="", credential=None, now=lambda: NOW)


async def test_a_batch_that_is_refused_prevents_no_other_one_from_being_sent(
    dispatch: AzureQueueDispatch, queue: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = queue.send_message

    async def refuse_the_first(content: object | None, **options: Any) -> QueueMessage:
        if "first" in str(content):
            raise AzureError("as the test wants it")
        return await send(content, **options)

    monkeypatch.setattr(queue, "send_message", refuse_the_first)

    with pytest.raises(DispatchError, match="could not send 1 ticket"):
        await dispatch.send([ticket(0, "first"), ticket(30, "second"), ticket(50, "third")])
    assert sorted(queue.delays) == pytest.approx([25, 45], abs=0.01)


async def test_a_queue_that_is_gone_is_reported(dispatch: AzureQueueDispatch, queue: Recording) -> None:
    await queue.delete_queue()

    with pytest.raises(DispatchError, match=r"could not send 1 ticket to queue .* \(status 404\)") as caught:
        await dispatch.send([ticket(0)])
    assert isinstance(caught.value.__cause__, AzureError)
