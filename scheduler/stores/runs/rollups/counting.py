"""Finishes runs and counts them in the same transaction.

Each group of changes finishes runs of one job and hour and replaces the row of that hour, fenced by its etag. So a run
is counted when it becomes finished, and never twice: a repetition is refused by the fence of the run's own row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.runs import Run
from scheduler.stores.port import (
    Change,
    Etags,
    Insert,
    Replace,
    RowChanged,
    RowExists,
    Store,
    StoreError,
    StoreUnavailable,
)
from scheduler.stores.runs.keys import HISTORY_TABLE, RunKey
from scheduler.stores.runs.rollups.hours import HourCache, HourCounts, HourRow
from scheduler.stores.runs.rollups.keys import HOUR_PREFIX, format_hour, mark_late

RUNS_PER_GROUP = 20
"""Runs of one job and hour that are finished by one group of changes."""
_USUAL_CHARACTERS = 1000
_MAX_TRIES = 8
"""Of one group, when other processes change the hour's row between the read and the write."""


@dataclass(slots=True)
class FinishingChanges:
    """The changes of one run that make it finished. The first one writes the row whose etag is the result."""

    key: RunKey
    run: Run
    changes: Sequence[Change]


@dataclass(slots=True)
class _Group:
    """Runs of one hour's row, by their number. `row`: the hour's row that the changes replace; None: they insert it.

    `counts`: of the new row, whose text is `body`.
    """

    row_key: str
    items: list[tuple[int, FinishingChanges]]
    tries: int = 0
    row: HourRow | None = None
    body: str = ""
    counts: HourCounts | None = None

    @property
    def job(self) -> str:
        return self.items[0][1].key.job

    @property
    def shard(self) -> str:
        return self.items[0][1].key.shard

    def build_changes(self, cached: HourCounts | None) -> Sequence[Change]:
        """`cached`: the decoded counts of `row`, which change."""
        row, shard = self.row, self.shard
        counts = cached or (HourCounts() if row is None else HourCounts.decode(row.body))
        for _, item in self.items:
            counts.add_run(item.run)
        self.counts, self.body = counts, counts.encode()
        if row is None:
            hour: Change = Insert(HISTORY_TABLE, shard, self.row_key, self.body)
        else:
            hour = Replace(HISTORY_TABLE, shard, self.row_key, self.body, row.etag)
        changes = [change for _, item in self.items for change in item.changes]
        changes += mark_late(self.row_key, [item.run for _, item in self.items])
        changes.append(hour)
        return changes


class RunCounting:
    """`writer`: a suffix of this process's rows, where several processes share the store; "" if one owns it.

    Without a cached row an insert is tried first: with its own `writer` a process never finds a row of another one.
    """

    def __init__(self, store: Store, writer: str = "") -> None:
        self._store = store
        self._suffix = f".{writer}" if writer else ""
        self._cache = HourCache()
        self._written: dict[str, asyncio.Future[None]] = {}
        """The rows that are being written, by key, and when they are: the tasks of this process take turns."""

    async def finish_all(self, items: Sequence[FinishingChanges]) -> Sequence[str | StoreError]:
        """Make the changes of each run and count it. Results in the same order: the etag, or the error of the run's own
        changes.
        """
        groups = self._group(items)
        rows = {group.row_key for group in groups}
        # All rows at once, so that two tasks do not wait for each other.
        while occupied := {self._written[row_key] for row_key in rows & self._written.keys()}:
            await asyncio.wait(occupied)
        written = asyncio.get_running_loop().create_future()
        self._written.update(dict.fromkeys(rows, written))
        try:
            answers = await self._write(groups)
        finally:
            for row_key in rows:
                del self._written[row_key]
            written.set_result(None)
        return [answers[number] for number in range(len(items))]

    async def _write(self, waiting: list[_Group]) -> dict[int, str | StoreError]:
        """Return the answers by the number of the run."""
        answers: dict[int, str | StoreError] = {}
        while waiting:
            # A row is written by one group at a time; the next ones of that row follow.
            current = {group.row_key: group for group in reversed(waiting)}
            rest = [group for group in waiting if group is not current[group.row_key]]
            groups = [*current.values()]
            if self._cache.is_full(_USUAL_CHARACTERS):
                # Rows that are not cached exist, most likely: an insert would be refused.
                await self._reread([group for group in groups if group.row is None], answers)
            for group in groups:
                group.row = self._cache.get(group.job, group.row_key) or group.row
            results = await self._store.apply_each([self._build_changes(group) for group in groups])
            repeated: list[_Group] = []
            for group, result in zip(groups, results, strict=True):
                repeated += self._accept(group, result, answers)
            waiting = [*repeated, *rest]
            await self._reread([group for group in repeated if group.tries], answers)
            waiting = [group for group in waiting if group.items[0][0] not in answers]
        return answers

    def _build_changes(self, group: _Group) -> Sequence[Change]:
        cached = None if group.row is None else self._cache.take_counts(group.job, group.row)
        return group.build_changes(cached)

    def _group(self, items: Sequence[FinishingChanges]) -> list[_Group]:
        """Put runs of one row together, in the order of their start."""
        groups: dict[str, list[_Group]] = {}
        for number, item in sorted(enumerate(items), key=lambda one: one[1].run.started_at):
            row_key = f"{HOUR_PREFIX}{item.key.job}~{format_hour(item.run.due_at)}{self._suffix}"
            found = groups.setdefault(row_key, [])
            if not found or len(found[-1].items) == RUNS_PER_GROUP:
                found.append(_Group(row_key, []))
            found[-1].items.append((number, item))
        return [group for found in groups.values() for group in found]

    def _accept(self, group: _Group, result: Etags | StoreError, answers: dict[int, str | StoreError]) -> list[_Group]:
        """Answer the runs of a group; return what has to be repeated."""
        if not isinstance(result, StoreError):
            self._cache.put(group.job, HourRow(group.row_key, group.body, result[-1]), group.counts)
            place = 0
            for number, item in group.items:
                answers[number] = result[place]
                place += len(item.changes)
            return []
        if isinstance(result, RowExists | RowChanged):
            if result.key == group.row_key:
                group.tries += 1
                if group.tries < _MAX_TRIES:
                    return [group]
                result = StoreUnavailable(f"row {group.row_key!r} changed {_MAX_TRIES} times while it was replaced")
            elif len(group.items) > 1:
                return [_Group(group.row_key, [item]) for item in group.items]
        else:
            # It is unknown whether the changes were made.
            self._cache.discard(group.job)
        answers.update((number, result) for number, _ in group.items)
        return []

    async def _reread(self, groups: Sequence[_Group], answers: dict[int, str | StoreError]) -> None:
        """Cache the rows of hours that have changed."""
        await asyncio.gather(*(self._reread_row(group, answers) for group in groups))

    async def _reread_row(self, group: _Group, answers: dict[int, str | StoreError]) -> None:
        cached = self._cache.get(group.job, group.row_key)
        if cached is not None and cached is not group.row:
            return  # another task of this process wrote it
        self._cache.discard(group.job)
        try:
            row = await self._store.get_row(HISTORY_TABLE, group.shard, group.row_key)
        except StoreError as error:
            answers.update((number, error) for number, _ in group.items)
            return
        group.row = None if row is None else HourRow(row.key, row.body, row.etag)
