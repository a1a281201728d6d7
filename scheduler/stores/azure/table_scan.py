"""Reads all rows of the tables of a storage account, next to the app. Opened by
scheduler.stores.azure.opening.

Azure Tables has no snapshot: each row is as it was when it was read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from azure.core.exceptions import AzureError
from azure.data.tables.aio import TableServiceClient

from scheduler.stores.azure.entities import azure_table_name, escape_key, to_row
from scheduler.stores.azure.errors import http_status, to_store_error
from scheduler.stores.port import LARGEST_PAGE, Row
from scheduler.stores.rows import PING_ROW, schema_of_ping


class AzureTableScan:
    """Implements scheduler.stores.port.StoreScan. `known_tables`: the names without which underscores are lost."""

    is_snapshot = False

    def __init__(self, service: TableServiceClient, prefix: str, known_tables: Sequence[str]) -> None:
        self._service = service
        self._prefix = prefix
        self._known = {azure_table_name(prefix, table): table for table in known_tables}

    async def read_schema(self) -> int:
        return schema_of_ping(await self.get_row(*PING_ROW))

    async def count_rows(self) -> Mapping[str, int | None]:
        found: dict[str, int | None] = {}
        try:
            async for item in self._service.list_tables():
                if item.name.startswith(self._prefix):
                    found[self._known.get(item.name, item.name)] = None
        except AzureError as error:
            raise to_store_error(f"{self._prefix}*", error) from error
        return found

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        client = self._service.get_table_client(azure_table_name(self._prefix, table))
        try:
            entity = await client.get_entity(escape_key(partition), escape_key(key))
        except AzureError as error:
            if http_status(error) == 404:
                return None
            raise to_store_error(table, error) from error
        return to_row(entity, str(entity.metadata["etag"]))

    async def read_table(self, table: str) -> AsyncIterator[Sequence[Row]]:
        client = self._service.get_table_client(azure_table_name(self._prefix, table))
        try:
            async for page in client.list_entities(results_per_page=LARGEST_PAGE).by_page():
                if rows := [to_row(entity, str(entity.metadata["etag"])) async for entity in page]:
                    yield rows
        except AzureError as error:
            if http_status(error) != 404:  # it was deleted meanwhile
                raise to_store_error(table, error) from error

    async def find_damage(self) -> str:
        return ""

    async def aclose(self) -> None:
        await self._service.close()
