"""Sends the transactions of a partition two at a time; groups that wait meanwhile share the next transaction. Used by
azure.store.

A slow partition therefore gets fuller requests, not more of them. Groups wait here, without a timeout, instead of at
the service, which would process requests whose callers have given up.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence

from scheduler.stores.azure.transactions import AtomicGroup, pack_transactions

TRANSACTIONS_PER_PARTITION = 2
"""Transactions of a partition in flight: one late answer must not block the partition."""

_PartitionId = tuple[str, str]
"""Table and partition."""
_WaitingGroups = tuple[Sequence[AtomicGroup], asyncio.Future[None]]
"""Groups that may share a transaction, and the future of their caller."""


class TransactionQueues:
    """`commit` makes groups that may share a transaction, and sets the result of each."""

    def __init__(self, commit: Callable[[Sequence[AtomicGroup]], Awaitable[None]]) -> None:
        self._commit = commit
        self._waiting: defaultdict[_PartitionId, deque[_WaitingGroups]] = defaultdict(deque)
        self._in_flight: Counter[_PartitionId] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, steps: Sequence[AtomicGroup]) -> None:
        """Make groups that may share a transaction. Cancelling the caller does not stop them."""
        place = steps[0].partition_id
        made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[place].append((steps, made))
        if self._in_flight[place] < TRANSACTIONS_PER_PARTITION:
            self._in_flight[place] += 1
            task = asyncio.get_running_loop().create_task(self._process_partition(place))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await made

    async def aclose(self) -> None:
        """Wait for the transactions in flight."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _process_partition(self, place: _PartitionId) -> None:
        try:
            while packs := self._next_batch(place):
                await self._commit_together(packs)
        finally:
            self._in_flight[place] -= 1
            if not self._in_flight[place]:
                del self._in_flight[place]
                if not self._waiting[place]:
                    del self._waiting[place]

    async def _commit_together(self, packs: Sequence[_WaitingGroups]) -> None:
        error: BaseException | None = None
        try:
            await self._commit([step for steps, _ in packs for step in steps])
        except BaseException as raised:
            # Whichever error it is, no caller must wait without end.
            error = raised
        for _, made in packs:
            if made.done():
                continue  # its caller was cancelled
            if error is None:
                made.set_result(None)
            else:
                made.set_exception(error)

    def _next_batch(self, place: _PartitionId) -> Sequence[_WaitingGroups]:
        """Return the first waiting groups that fit into one transaction; none if none wait."""
        waiting = self._waiting[place]
        batch: list[_WaitingGroups] = []
        together: list[AtomicGroup] = []
        while waiting and (not batch or _fit_in_one_transaction([*together, *waiting[0][0]])):
            batch.append(waiting.popleft())
            together += batch[-1][0]
        return batch


def _fit_in_one_transaction(steps: Sequence[AtomicGroup]) -> bool:
    """Return whether they may share a transaction."""
    return len([*pack_transactions(steps)]) == 1
