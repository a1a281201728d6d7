"""What backups share: their errors, the report of their progress, and the port of what a backup is restored to.

BackupError
 ├─ DumpDamaged     a file is not a backup, is damaged or cut off, or was written by a newer program
 ├─ DumpFileError   a file cannot be read or written
 ├─ TargetNotEmpty  the store has rows already
 └─ RestoreDiffers  the restored rows are not those of the backup
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from scheduler.features.backup.tables import TableDigest
from scheduler.stores.port import Store


class BackupError(Exception):
    """Base of all errors here. The message is for operators."""


class DumpDamaged(BackupError):
    """The message names the line."""


class DumpFileError(BackupError):
    """The message names the file and the cause."""


class TargetNotEmpty(BackupError):
    """The message names the tables."""


class RestoreDiffers(BackupError):
    """The message names the tables."""


class RowProgress(Protocol):
    """Gets the rows of one phase after the other."""

    def begin(self, phase: str, total: int | None) -> None:
        """Begin a phase such as `writing`. `total` None: its number of rows is not known."""
        ...

    def advance(self, rows: int) -> None:
        """Add rows to those of the phase."""
        ...


class NoProgress:
    """Shows nothing."""

    def begin(self, phase: str, total: int | None) -> None:
        pass

    def advance(self, rows: int) -> None:
        pass


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
