"""Results that the store did not take, kept until it does. Used by recording, where nobody delivers a ticket again.

They are bounded in bytes, written oldest first and many together. A result that waits holds no place and no slot: its
run is over, and other runs go on as far as the store lets them begin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.ports import Clock
from scheduler.stores.dead_letters.repository import DeadLetter
from scheduler.stores.port import StoreDamaged, StoreError, StoreUnavailable
from scheduler.stores.runs.claims import RunResult

BACKLOG_RETRY_INTERVAL = 1.0
"""Seconds between two tries while the store is away."""
BACKLOG_GROUP_SIZE = 100
"""Results that are written together once the store takes them again."""
RESULT_OVERHEAD_BYTES = 8 * 1024
"""Bytes that a waiting result takes beside its texts: the run and its attempts, its task and its lease. Measured."""


@dataclass(slots=True, eq=False)
class UnwrittenResult:
    """A result that waits. `written` is set once it is in the store, or never can be."""

    end: RunResult
    letter: DeadLetter | None
    size: int
    written: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class BacklogState:
    """`number` results of `size` bytes wait since `since`, because of `error`; `dropped` did not fit, until now."""

    count: int
    size_bytes: int
    since: datetime | None
    error: StoreError | None
    dropped: int
    dropped_at: datetime | None


Write = Callable[[Sequence[UnwrittenResult]], Awaitable[Sequence[StoreError | None]]]


class Backlog:
    """`most`: bytes that may wait; 0: nothing waits."""

    def __init__(self, write: Write, clock: Clock, max_bytes: int) -> None:
        self._write = write
        self._clock = clock
        self.max_bytes = max_bytes
        self._waiting: dict[str, UnwrittenResult] = {}
        self._size = 0
        self._since: datetime | None = None
        self._error: StoreError | None = None
        self._is_store_unavailable = False
        self._dropped = 0
        self._dropped_at: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> BacklogState:
        """What health says of it."""
        error = self._error if self._waiting else None
        return BacklogState(len(self._waiting), self._size, self._since, error, self._dropped, self._dropped_at)

    @property
    def unavailable_error(self) -> StoreError | None:
        """Why the store took nothing at the last try; None if it is worth another try."""
        return self._error if self._is_store_unavailable and self._waiting else None

    def has_room(self, size: int) -> bool:
        """Whether a result of this size may wait, too. One that may not is counted as dropped."""
        if self._size + size + RESULT_OVERHEAD_BYTES <= self.max_bytes:
            return True
        self._dropped += 1
        self._dropped_at = self._clock.now()
        return False

    async def wait_until_written(self, end: RunResult, letter: DeadLetter | None, size: int, error: StoreError) -> None:
        """Wait until the result is written. `error`: why it is not.

        Raises:
            StoreError: it never can be written, such as ClaimLost.
        """
        one = UnwrittenResult(end, letter, size + RESULT_OVERHEAD_BYTES, asyncio.get_running_loop().create_future())
        if not self._waiting:
            self._since = self._clock.now()
            self._is_store_unavailable = not isinstance(error, StoreDamaged)
        self._error = error
        self._waiting[end.run.id] = one
        self._size += one.size
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._retry_until_empty())
        try:
            await one.written
        finally:
            self._remove(one)

    def _remove(self, one: UnwrittenResult) -> None:
        if self._waiting.pop(one.end.run.id, None) is not None:
            self._size -= one.size
        if not self._waiting:
            self._since, self._is_store_unavailable = None, False

    async def _retry_until_empty(self) -> None:
        while self._waiting:
            await self._clock.sleep(BACKLOG_RETRY_INTERVAL)
            await self._write_all()

    async def _write_all(self) -> None:
        """One group after the other, until the store refuses all of one: it is away.

        What only a damaged part of it refuses does not keep the others waiting.
        """
        waiting = list(self._waiting.values())
        size = 1  # the first one finds out whether the store is back
        while waiting:
            group, waiting = waiting[:size], waiting[size:]
            refused = await self._write_group(group)
            if len(refused) == len(group) and not any(isinstance(error, StoreDamaged) for error in refused):
                self._is_store_unavailable = True
                return
            self._is_store_unavailable = False
            size = BACKLOG_GROUP_SIZE

    async def _write_group(self, group: Sequence[UnwrittenResult]) -> Sequence[StoreError]:
        """Why some of the group still wait."""
        answers: Sequence[StoreError | Exception | None]
        try:
            answers = await self._write(group)
        except Exception as error:
            # Whatever it is, nobody must wait for ever.
            answers = [error] * len(group)
        refused: list[StoreError] = []
        for one, answer in zip(group, answers, strict=True):
            if isinstance(answer, StoreUnavailable):
                refused.append(answer)
                self._error = answer
            elif not one.written.done():
                self._remove(one)
                if answer is None:
                    one.written.set_result(None)
                else:
                    one.written.set_exception(answer)
        return refused
