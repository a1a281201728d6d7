"""Where a backup is restored to. Implemented by scheduler.backup.file_target and scheduler.backup.table_target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from scheduler.backup.progress import RowProgress
from scheduler.backup.table_digests import TableDigest
from scheduler.stores.port import Store


class RestoreTarget(Protocol):
    """Call the methods in this order. All raise StoreError, BackupError."""

    description: str
    """The store, for operators."""

    async def prepare(self, digest: str, *, replace: bool, progress: RowProgress) -> int:
        """Make an empty store. Return how many rows of this backup it has already, from an earlier try.

        Raises TargetNotEmpty unless `replace`.
        """
        ...

    @property
    def store(self) -> Store:
        """The store to write to, once it is prepared."""
        ...

    async def save_progress(self, rows: int) -> None:
        """The first `rows` rows are written."""
        ...

    async def read_digests(self, progress: RowProgress) -> Mapping[str, TableDigest]:
        """Read everything back."""
        ...

    async def commit(self, schema: int) -> str:
        """Put the store in force, whose rows have this form at least.

        Return what happened to the former one, "" without one.
        """
        ...

    async def aclose(self) -> None:
        """Release everything. Without `commit`, a file is left as it was."""
        ...
