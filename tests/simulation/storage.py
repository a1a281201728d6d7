"""The simulated store: rows that outlive processes, and each process's way to them, on which answers get lost."""

from __future__ import annotations

import builtins
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count, groupby, islice

from scheduler.stores.port import (
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
)
from scheduler.stores.runs.codec import RunState, decode_record, read_status
from scheduler.stores.runs.keys import HISTORY_TABLE, OPEN_PREFIX, RUN_PREFIX, SHARD_NAMES, RunKey
from tests.simulation.keys import SortedKeys
from tests.simulation.process import START, Process, World, true_time

CLOCKS_DIFFER = timedelta(seconds=1)
"""A process's clock is at most so far ahead of the true time: see Troubles.skew_s."""
REMEMBERED = timedelta(hours=1)
"""For so much longer the runs of some jobs are not forgotten."""


class Tables:
    """What is stored. Notes it as a violation when a finished run is written once more with another end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows: defaultdict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
        self._keys: defaultdict[tuple[str, str], SortedKeys] = defaultdict(SortedKeys)
        self._etags = count()
        self._forgotten_until = START

    def apply(self, changes: Sequence[Change]) -> Etags:
        """All or none. Raises RowExists, RowChanged."""
        for change in changes:
            self._check(change)
        return tuple([self._change(change) for change in changes])

    def get(self, table: str, partition: str, key: str) -> Row | None:
        return self._rows[table, partition].get(key)

    def list(self, table: str, partition: str, after: str, until: str, limit: int) -> list[Row]:
        rows = self._rows[table, partition]
        return [rows[key] for key in islice(self._keys[table, partition].between(after, until), limit)]

    def all(self, table: str) -> Iterator[Row]:
        for (name, _), rows in self._rows.items():
            if name == table:
                yield from rows.values()

    def runs_until(self, end: datetime) -> Iterator[Row]:
        """Those that were due until then."""
        return (row for row in self._runs() if RunKey.from_row_key(row.key).due_at <= end)

    def runs_of(self, jobs: Collection[str]) -> Iterator[Row]:
        return (row for row in self._runs() if RunKey.from_row_key(row.key).job in jobs)

    def runs_with(self, text: str) -> Iterator[Row]:
        return (row for row in self._runs() if text in row.body)

    def left_open(self, end: datetime) -> Iterator[RunKey]:
        """Runs that were due until then and still have a pointer."""
        pointers = (
            key for name in SHARD_NAMES for key in self._rows[HISTORY_TABLE, name] if key.startswith(OPEN_PREFIX)
        )
        return (key for key in map(RunKey.from_row_key, pointers) if key.due_at <= end)

    def forget_until(self, end: datetime, slowly: Collection[str]) -> Iterator[str]:
        """Forget the runs that were due until then; their ids. Whoever begins one of them later is found out.

        `slowly`: jobs whose runs are remembered a little longer.
        """
        self._forgotten_until = end
        for row in [*self.runs_until(end)]:
            key = RunKey.from_row_key(row.key)
            if key.job in slowly and key.due_at > end - REMEMBERED:
                continue
            for place in (key.run_key, key.done_key, key.open_key):
                if (found := self.get(HISTORY_TABLE, key.shard, place)) is not None:
                    self.forget(HISTORY_TABLE, found)
            yield key.run_id

    def _runs(self) -> Iterator[Row]:
        return (row for row in self.all(HISTORY_TABLE) if row.key.startswith(RUN_PREFIX))

    def forget(self, table: str, row: Row) -> None:
        place = (table, row.partition)
        del self._rows[place][row.key]
        self._keys[place].remove(row.key)

    def _look_at_change(self, before: Row, after: Row) -> None:
        if read_status(before) not in (RunState.QUEUED, RunState.RUNNING):
            self._violated(f"run {decode_record(before).ticket.id} was recorded twice")
        if not read_status(before) == read_status(after) == RunState.RUNNING:
            return
        was, now_is = decode_record(before), decode_record(after)
        lives = was.lease_until is not None and was.lease_until > true_time() + CLOCKS_DIFFER
        if lives and was.owner in self._world.alive and was.owner != now_is.owner:
            self._violated(f"{now_is.owner} takes run {was.ticket.id} from {was.owner}, whose lease goes on")

    def _violated(self, sentence: str) -> None:
        self._world.violations.append(sentence)

    def _check(self, change: Change) -> None:
        found = self._rows[change.table, change.partition].get(change.key)
        if isinstance(change, Insert) and found is not None:
            raise RowExists(change.table, change.partition, change.key)
        if isinstance(change, Replace) and (found is None or found.etag != change.etag):
            raise RowChanged(change.table, change.partition, change.key)

    def _change(self, change: Change) -> str:
        place = (change.table, change.partition)
        rows = self._rows[place]
        found = rows.get(change.key)
        if isinstance(change, Delete):
            if found is not None:
                self.forget(change.table, found)
            return ""
        if found is None:
            self._keys[place].add(change.key)
            if _is_a_run(change) and (key := RunKey.from_row_key(change.key)).due_at <= self._forgotten_until:
                self._violated(f"run {key.run_id} begins long after it was judged")
        row = Row(change.partition, change.key, change.body, f"e{next(self._etags)}")
        if found is not None and _is_a_run(change) and found.body != change.body:
            self._look_at_change(found, row)
        rows[change.key] = row
        return row.etag


def _is_a_run(change: Change) -> bool:
    return change.table == HISTORY_TABLE and change.key.startswith(RUN_PREFIX)


class StoreOf:
    """A process's `scheduler.stores.port.Store`. `atomic`: like SQLite, or like Azure Tables one partition after the
    other."""

    def __init__(self, process: Process, tables: Tables, *, atomic: bool) -> None:
        self._process = process
        self._tables = tables
        self._atomic = atomic

    async def apply(self, *changes: Change) -> Etags:
        etags: builtins.list[str] = []
        for step in [changes] if self._atomic else _by_partition(changes):
            await self._reach()
            etags += self._tables.apply(step)
        await self._answer()
        return tuple(etags)

    async def apply_each(self, groups: Sequence[Sequence[Change]]) -> Sequence[Etags | StoreError]:
        answers: dict[int, Etags | StoreError] = {}
        for request in self._requests(groups):
            try:
                await self._reach()
                made = {number: self._made(groups[number]) for number in request}
                await self._answer()
            except StoreError as error:
                made = dict.fromkeys(request, error)
            answers |= made
        return [answers[number] for number in range(len(groups))]

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        await self._reach()
        return self._tables.get(table, partition, key)

    async def list_rows(
        self, table: str, partition: str, *, after: str = "", until: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        await self._reach()
        rows = self._tables.list(table, partition, after, until, limit)
        return rows if bodies else [Row(row.partition, row.key, "", row.etag) for row in rows]

    async def ping(self) -> None:
        await self._reach()

    async def aclose(self) -> None:
        """Holds nothing."""

    def _made(self, changes: Sequence[Change]) -> Etags | StoreError:
        try:
            return self._tables.apply(changes)
        except StoreError as error:
            return error

    def _requests(self, groups: Sequence[Sequence[Change]]) -> Sequence[Sequence[int]]:
        """Groups that are made or fail for want of the store together, in any order."""
        if self._atomic:
            return [range(len(groups))]
        of_partition: defaultdict[tuple[str, str], builtins.list[int]] = defaultdict(builtins.list)
        for number, changes in enumerate(groups):
            of_partition[changes[0].table, changes[0].partition].append(number)
        requests = [*of_partition.values()]
        self._process.world.luck.shuffle(requests)
        return requests

    async def _reach(self) -> None:
        await self._process.step()
        world = self._process.world
        if world.is_unavailable or world.happens(world.troubles.unavailable):
            raise StoreUnavailable("the store is away")

    async def _answer(self) -> None:
        await self._process.step()
        if self._process.world.happens(self._process.world.troubles.lost_answers):
            raise StoreUnavailable("the answer was lost: the changes are made")


def _by_partition(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Neighbours of one partition are made all or none."""
    for _, step in groupby(changes, key=lambda change: (change.table, change.partition)):
        yield tuple(step)
