"""Begins recovered runs, a few at a time: runs that fall due now must not wait behind thousands of old ones.

Used by recovering. The worker's places are handed out in the order in which runs come, so what is not yet handed to the
worker does not stand in the way of what is due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

StartTurn = Callable[[], asyncio.Task[None] | None]
"""Hands runs to the worker. Returns the task that performs them; None if the program ends and nothing begins."""


class RecoveryQueue:
    """`max_concurrent_turns`: turns that go on at the same time. A turn is one or more runs, one after the other."""

    def __init__(self, max_concurrent_turns: int) -> None:
        self.max_concurrent_turns = max_concurrent_turns
        self._waiting: deque[tuple[Sequence[str], StartTurn]] = deque()
        self._ids: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()

    def add(self, run_ids: Sequence[str], begin: StartTurn) -> None:
        """Begin the turn with these runs as soon as fewer than `max_concurrent_turns` go on."""
        self._waiting.append((run_ids, begin))
        self._ids.update(run_ids)
        self._start_next()

    def contains(self, run_id: str) -> bool:
        """Whether the run waits here for its turn."""
        return run_id in self._ids

    @property
    def waiting_count(self) -> int:
        """Runs that wait here for their turn."""
        return len(self._ids)

    def _start_next(self) -> None:
        while self._waiting and len(self._running) < self.max_concurrent_turns:
            run_ids, begin = self._waiting.popleft()
            self._ids.difference_update(run_ids)
            task = begin()
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start_next()
