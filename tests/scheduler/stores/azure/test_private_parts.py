"""The private parts of Microsoft's client that the store uses: an upgrade without one fails here."""

from __future__ import annotations

from azure.core.pipeline.policies import AsyncRetryPolicy

from scheduler.stores.azure.store import connect_to_tables

ACCOUNT = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:9/a"


async def test_the_private_parts_of_the_client_exist() -> None:
    service = connect_to_tables(ACCOUNT, None)
    async with service, service.get_table_client("history") as table:
        assert callable(table._client.send_request), "used by azure.transactions"
        assert any(isinstance(policy, AsyncRetryPolicy) for policy in service._policies), "used by azure.store"
