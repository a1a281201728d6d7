"""Reads all rows of a store, whatever their table. Implemented by sqlite.snapshot and azure.table_scan, used by
scheduler.features.backup.

The port `Store` finds rows by table and partition. A backup has to find all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from scheduler.stores.port import Row


class StoreScan(Protocol):
    """All methods raise StoreError."""

    is_snapshot: bool
    """Whether all rows are those of one instant. Otherwise each row is as it was when it was read."""

    async def read_schema(self) -> int:
        """Return the oldest form that a row may have: see scheduler.stores.rows.row_schema."""
        ...

    async def count_rows(self) -> Mapping[str, int | None]:
        """Return the tables that exist, each with the number of its rows; None if only reading them all would tell.

        A table of another name than the program uses is among them.
        """
        ...

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        """Return one row."""
        ...

    def read_table(self, table: str) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows of a table in pages, by partition and key."""
        ...

    async def find_damage(self) -> str:
        """Return what is damaged, "" if nothing is or if the backend repairs its own damage."""
        ...

    async def aclose(self) -> None:
        """Release all resources."""
        ...
