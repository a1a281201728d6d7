"""The simulated store: rows that outlive processes, and each process's way to them, on which answers get lost."""

from __future__ import annotations

import builtins
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count

from scheduler.stores.port import Change, Delete, Insert, Replace, Row, RowChanged, RowExists, StoreUnavailable
from scheduler.stores.run_codec import RunState, decode, status_of
from scheduler.stores.run_keys import OPEN, RUNS, TIMELINE
from tests.simulation.process import Process, World


class Tables:
    """What is stored. Notes it as a violation when a finished run is written once more with another end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows: defaultdict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
        self._keys: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._etags = count()

    def change(self, change: Change) -> str:
        """Raises RowExists, RowChanged."""
        table = (change.table, change.partition)
        rows = self._rows[table]
        found = rows.get(change.key)
        if isinstance(change, Delete):
            if found is not None:
                del rows[change.key]
                self._keys[table].remove(change.key)
            return ""
        if isinstance(change, Insert) and found is not None:
            raise RowExists(change.table, change.partition, change.key)
        if isinstance(change, Replace) and (found is None or found.etag != change.etag):
            raise RowChanged(change.table, change.partition, change.key)
        if found is None:
            insort(self._keys[table], change.key)
        elif change.table == RUNS and found.body != change.body and _is_finished(found):
            self._world.violations.append(f"run {decode(found).ticket.id} was recorded twice")
        row = Row(change.partition, change.key, change.body, f"e{next(self._etags)}")
        rows[change.key] = row
        return row.etag

    def get(self, table: str, partition: str, key: str) -> Row | None:
        return self._rows[table, partition].get(key)

    def list(self, table: str, partition: str, after: str, limit: int) -> list[Row]:
        keys, rows = self._keys[table, partition], self._rows[table, partition]
        start = bisect_right(keys, after)
        return [rows[key] for key in keys[start : start + limit]]

    def all(self, table: str) -> Iterator[Row]:
        for (name, _), rows in self._rows.items():
            if name == table:
                yield from rows.values()

    def open_pointers(self) -> Sequence[str]:
        return self._keys[TIMELINE, OPEN]


def _is_finished(row: Row) -> bool:
    return status_of(row) not in (RunState.QUEUED, RunState.RUNNING)


class StoreOf:
    """A process's `scheduler.stores.port.Store`. `atomic`: like SQLite, or like Azure Tables one change at a time."""

    def __init__(self, process: Process, tables: Tables, *, atomic: bool) -> None:
        self._process = process
        self._tables = tables
        self._atomic = atomic

    async def apply(self, *changes: Change) -> tuple[str, ...]:
        await self._reach()
        if self._atomic:
            etags = self._all_or_none(changes)
        else:
            etags = await self._one_after_the_other(changes)
        await self._process.step()
        if self._process.world.happens(self._process.world.troubles.lost_answers):
            raise StoreUnavailable("the answer was lost: the changes are made")
        return tuple(etags)

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        await self._reach()
        return self._tables.get(table, partition, key)

    async def list(
        self, table: str, partition: str, *, after: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        await self._reach()
        rows = self._tables.list(table, partition, after, limit)
        return rows if bodies else [Row(row.partition, row.key, "", row.etag) for row in rows]

    async def ping(self) -> None:
        await self._reach()

    async def aclose(self) -> None:
        """Holds nothing."""

    async def _one_after_the_other(self, changes: Sequence[Change]) -> Sequence[str]:
        etags: builtins.list[str] = []
        for number, change in enumerate(changes):
            if number > 0:
                await self._reach()
            etags.append(self._tables.change(change))
        return etags

    async def _reach(self) -> None:
        await self._process.step()
        world = self._process.world
        if world.away or world.happens(world.troubles.unavailable):
            raise StoreUnavailable("the store is away")

    def _all_or_none(self, changes: Sequence[Change]) -> Sequence[str]:
        for change in changes:
            found = self._tables.get(change.table, change.partition, change.key)
            if isinstance(change, Insert) and found is not None:
                raise RowExists(change.table, change.partition, change.key)
            if isinstance(change, Replace) and (found is None or found.etag != change.etag):
                raise RowChanged(change.table, change.partition, change.key)
        return [self._tables.change(change) for change in changes]
