"""A store in memory, for tests that want one at once or want it to fail. The contract tests hold it to the port.

Like Azure Tables it makes changes of one partition all or none, and others one partition after the other, so
`MemoryStore(data, breaks_after=n)` leaves behind what a process that died after n such steps would leave; a second
`MemoryStore(data)` is the next process.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from scheduler.stores.port import (
    MAX_BODY,
    Change,
    Delete,
    Etags,
    Insert,
    Replace,
    Row,
    RowChanged,
    RowExists,
    StoreError,
    StoreUnavailable,
    split_into_atomic_groups,
)


@dataclass
class MemoryData:
    """What outlives a process."""

    rows: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    etags: count[int] = field(default_factory=count)


class MemoryStore:
    """Implements scheduler.stores.port.Store."""

    def __init__(self, data: MemoryData | None = None, *, breaks_after: int | None = None) -> None:
        self.data = data or MemoryData()
        self.breaks_after = breaks_after
        """Steps that still succeed; None: all."""
        self.reads = 0
        self.changes: list[Change] = []
        self.largest_apply = 0

    async def apply(self, *changes: Change) -> Etags:
        self.largest_apply = max(self.largest_apply, len(changes))
        return tuple([etag for step in split_into_atomic_groups(changes) for etag in self._step(step)])

    async def apply_each(self, groups: Sequence[Sequence[Change]]) -> Sequence[Etags | StoreError]:
        answers: builtins.list[Etags | StoreError] = []
        for changes in groups:
            try:
                answers.append(await self.apply(*changes))
            except StoreError as error:
                answers.append(error)
        return answers

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        self._read()
        return self.data.rows.get((table, partition, key))

    async def list_rows(
        self, table: str, partition: str, *, after: str = "", until: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        self._read()
        of_partition = (row for (*of, _), row in self.data.rows.items() if of == [table, partition])
        found = sorted(
            (row for row in of_partition if row.key > after and (not until or row.key < until)),
            key=lambda row: row.key,
        )
        return [row if bodies else Row(row.partition, row.key, "", row.etag) for row in found[:limit]]

    async def ping(self) -> None:
        self._read()

    async def aclose(self) -> None:
        self.breaks_after = 0

    def _read(self) -> None:
        self.reads += 1
        if self.breaks_after == 0:
            raise StoreUnavailable("the store is away")

    def _step(self, step: Sequence[Change]) -> Sequence[str]:
        if self.breaks_after is not None:
            if self.breaks_after == 0:
                raise StoreUnavailable("the store is away")
            self.breaks_after -= 1
        for change in step:
            self._check(change)
        return [self._change(change) for change in step]

    def _check(self, change: Change) -> None:
        place = (change.table, change.partition, change.key)
        found = self.data.rows.get(place)
        if not isinstance(change, Delete) and len(change.body) > MAX_BODY:
            raise StoreError("the row is too large")
        if isinstance(change, Insert) and found is not None:
            raise RowExists(*place)
        is_fenced = isinstance(change, Replace) or (isinstance(change, Delete) and change.etag)
        if is_fenced and (found is None or found.etag != change.etag):
            raise RowChanged(*place)

    def _change(self, change: Change) -> str:
        self.changes.append(change)
        place = (change.table, change.partition, change.key)
        if isinstance(change, Delete):
            self.data.rows.pop(place, None)
            return ""
        etag = f"e{next(self.data.etags)}"
        self.data.rows[place] = Row(change.partition, change.key, change.body, etag)
        return etag
