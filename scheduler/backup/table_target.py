"""Restores into a store that is written in place, such as Azure Tables. Used by scheduler.app.backup_opening.

A row tells how far the restore has come. Until it is complete, the program refuses to start with the store, and the
same restore continues where it ended.
"""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.backup.errors import TargetNotEmpty
from scheduler.backup.progress import RowProgress
from scheduler.backup.store_content import digest_tables, find_filled_tables
from scheduler.backup.stored_tables import STORED_TABLES
from scheduler.backup.table_digests import TableDigest
from scheduler.stores.port import LARGEST_ATOMIC_GROUP, Change, Delete, Store, StoreError, StoreScan
from scheduler.stores.rows import (
    HEALTH_TABLE,
    OLDER_PING_CHANGE,
    ROW_SCHEMA,
    find_unfinished_restore,
    finish_restore,
    save_restore_progress,
)

ROWS_BETWEEN_SAVES = 20_000
"""Rows after which the progress is stored: so many are written again after an interruption."""


class TableTarget:
    """Implements scheduler.backup.target.RestoreTarget. The caller closes `store` and `scan`."""

    def __init__(self, store: Store, scan: StoreScan, description: str) -> None:
        self._store = store
        self._scan = scan
        self._digest = ""
        self._saved = 0
        self.description = description

    async def prepare(self, digest: str, *, replace: bool, progress: RowProgress) -> int:
        self._digest = digest
        unfinished = await find_unfinished_restore(self._store)
        if unfinished is not None and unfinished.digest == digest:
            self._saved = unfinished.rows
            return self._saved
        filled = await find_filled_tables(self._scan)
        if filled and not replace:
            raise TargetNotEmpty(self._describe_filled(filled, is_part=unfinished is not None))
        # From here on the program refuses the store.
        await save_restore_progress(self._store, digest, 0)
        if filled:
            await self._delete_rows(progress)
        return 0

    @property
    def store(self) -> Store:
        return self._store

    async def save_progress(self, rows: int) -> None:
        if rows - self._saved >= ROWS_BETWEEN_SAVES:
            await save_restore_progress(self._store, self._digest, rows)
            self._saved = rows

    async def read_digests(self, progress: RowProgress) -> Mapping[str, TableDigest]:
        return await digest_tables(self._scan, progress)

    async def commit(self, schema: int) -> str:
        if schema < ROW_SCHEMA:
            await self._store.apply(OLDER_PING_CHANGE)
        await finish_restore(self._store)
        return ""

    async def aclose(self) -> None:
        """What is written stays, and the same restore continues with it."""

    def _describe_filled(self, filled: list[str], *, is_part: bool) -> str:
        what = "a part of another backup" if is_part else "rows already"
        return (
            f"{self.description} has {what} ({', '.join(filled)}): name another prefix, "
            "or add --replace, which deletes these rows"
        )

    async def _delete_rows(self, progress: RowProgress) -> None:
        progress.begin("deleting", None)
        existing = await self._scan.count_rows()
        for table in STORED_TABLES:
            if table == HEALTH_TABLE or table not in existing:
                continue
            async for page in self._scan.read_table(table):
                groups: dict[str, list[Change]] = {}
                for row in page:
                    groups.setdefault(row.partition, []).append(Delete(table, row.partition, row.key))
                parts = [
                    group[start : start + LARGEST_ATOMIC_GROUP]
                    for group in groups.values()
                    for start in range(0, len(group), LARGEST_ATOMIC_GROUP)
                ]
                for result in await self._store.apply_each(parts):
                    if isinstance(result, StoreError):
                        raise result
                progress.advance(len(page))
