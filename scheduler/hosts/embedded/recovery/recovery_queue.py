"""Submits recovered runs, a few at a time: due runs must not wait behind thousands of old ones.

Called by scheduler.hosts.embedded.recovery.sweep. The worker grants places in the order of submission, so a run that is
not submitted yet delays no due run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

StartTurn = Callable[[], asyncio.Task[None] | None]
"""Submits runs to the worker. Returns their task; None if the program ends."""


class RecoveryQueue:
    """`max_concurrent_turns`: turns in-flight at most. A turn is one or more runs in order."""

    def __init__(self, max_concurrent_turns: int) -> None:
        self.max_concurrent_turns = max_concurrent_turns
        self._waiting: deque[tuple[Sequence[str], StartTurn]] = deque()
        self._ids: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()

    def add(self, run_ids: Sequence[str], begin: StartTurn) -> None:
        """Start a turn with these runs as soon as the limit allows."""
        self._waiting.append((run_ids, begin))
        self._ids.update(run_ids)
        self._start_next()

    def contains(self, run_id: str) -> bool:
        """Return whether the run waits here for its turn."""
        return run_id in self._ids

    @property
    def waiting_count(self) -> int:
        """Number of runs that wait here for their turn."""
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
