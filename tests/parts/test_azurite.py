"""Azurite, used by Microsoft's own clients."""

from __future__ import annotations

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueClient

from tests.parts.azurite import Azurite, fresh_prefix


async def test_the_second_insert_of_an_entity_is_refused(azurite: Azurite, storage_prefix: str) -> None:
    async with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        table = await service.create_table(f"{storage_prefix}claims")
        await table.create_entity({"PartitionKey": "a", "RowKey": "1"})
        with pytest.raises(ResourceExistsError):
            await table.create_entity({"PartitionKey": "a", "RowKey": "1"})


async def test_a_message_comes_out_of_a_queue(azurite: Azurite, storage_prefix: str) -> None:
    async with QueueClient.from_connection_string(azurite.connection_string, f"{storage_prefix}-tickets") as queue:
        await queue.create_queue()
        await queue.send_message("ticket")
        assert [message.content async for message in queue.receive_messages()] == ["ticket"]


def test_a_test_that_uses_azurite_is_marked(azurite: Azurite, request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("azurite") is not None


def test_each_test_gets_names_of_its_own(storage_prefix: str) -> None:
    assert storage_prefix != fresh_prefix()
