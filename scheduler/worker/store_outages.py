"""Outages of the store: requests are tried again, and results wait until it is back.

`retry_store` repeats a request for as long as its caller can wait. A result that cannot be written by then joins the
backlog. The backlog is bounded in bytes and written in groups, oldest result first. A waiting result holds no place
and no slot: its run has finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from jobs.ports import Clock
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.port import StoreDamaged, StoreError, StoreUnavailable
from scheduler.stores.runs.open_runs import ClaimLost, RunResult

T = TypeVar("T")


async def retry_store(
    request: Callable[[], Awaitable[T]],
    backoff: Iterable[float],
    clock: Clock,
    on_retry: Callable[[StoreError], None] = lambda _: None,
) -> T:
    """Return the answer of the request, repeated after each pause in `backoff` (seconds) while it fails.

    Raises:
        ClaimLost: at once, as no later request can succeed.
        StoreError: the request failed after the last pause.
    """
    pauses = iter(backoff)
    while True:
        try:
            return await request()
        except ClaimLost:
            raise
        except StoreError as error:
            pause = next(pauses, None)
            if pause is None:
                raise
            on_retry(error)
        await clock.sleep(pause)


BACKLOG_RETRY_INTERVAL = 1.0
"""Seconds between two tries while the store is unavailable."""
BACKLOG_GROUP_SIZE = 100
"""Results that are written together once the store is back."""
RESULT_OVERHEAD_BYTES = 8 * 1024
"""Bytes of a waiting result in addition to its texts: the run, its attempts, its task and its lease. Measured."""


@dataclass(slots=True, eq=False)
class UnwrittenResult:
    """A result that waits. `written` is set once it is stored, or can never be stored."""

    end: RunResult
    letter: DeadLetter | None
    size: int
    written: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class BacklogState:
    """`count` results of `size_bytes` wait since `since` because of `error`; `dropped` so far did not fit."""

    count: int
    size_bytes: int
    since: datetime | None
    error: StoreError | None
    dropped: int
    dropped_at: datetime | None


Write = Callable[[Sequence[UnwrittenResult]], Awaitable[Sequence[StoreError | None]]]


class Backlog:
    """`max_bytes`: limit of all waiting results; 0: no result waits."""

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
        """Return the figures for health."""
        error = self._error if self._waiting else None
        return BacklogState(len(self._waiting), self._size, self._since, error, self._dropped, self._dropped_at)

    @property
    def unavailable_error(self) -> StoreError | None:
        """Return the error of the last try if the store accepted no result; None: another write may succeed."""
        return self._error if self._is_store_unavailable and self._waiting else None

    def has_room(self, size: int) -> bool:
        """Return whether a result of this size fits. A result that does not fit is counted as dropped."""
        if self._size + size + RESULT_OVERHEAD_BYTES <= self.max_bytes:
            return True
        self._dropped += 1
        self._dropped_at = self._clock.now()
        return False

    async def wait_until_written(self, end: RunResult, letter: DeadLetter | None, size: int, error: StoreError) -> None:
        """Wait until the result is written. `error`: why it is not written yet.

        Raises:
            StoreError: the result can never be written, such as ClaimLost.
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
        """Write group by group, until the store rejects a whole group because it is unavailable.

        Results that only a damaged part of the store rejects do not delay the others.
        """
        waiting = list(self._waiting.values())
        size = 1  # the first result shows whether the store is back
        while waiting:
            group, waiting = waiting[:size], waiting[size:]
            refused = await self._write_group(group)
            if len(refused) == len(group) and not any(isinstance(error, StoreDamaged) for error in refused):
                self._is_store_unavailable = True
                return
            self._is_store_unavailable = False
            size = BACKLOG_GROUP_SIZE

    async def _write_group(self, group: Sequence[UnwrittenResult]) -> Sequence[StoreError]:
        """Write a group. Returns the errors of the results that still wait."""
        answers: Sequence[StoreError | Exception | None]
        try:
            answers = await self._write(group)
        except Exception as error:
            # Any error ends the wait: a result must not wait without end.
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
