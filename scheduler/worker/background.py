"""The background tasks of a worker: submitted tickets, until they are finished or cancelled.

Called by scheduler.worker.worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from jobs.runs import Ticket

CANCELLATION_TIMEOUT = 1.0
"""Seconds for cancelled tasks to record their runs."""


class BackgroundTasks:
    def __init__(self) -> None:
        self.run_ids: set[str] = set()
        """Ids of the runs whose tickets are submitted and not finished."""
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, tickets: Sequence[Ticket], work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Start the work for these tickets."""
        self.run_ids |= {ticket.id for ticket in tickets}
        task = asyncio.get_running_loop().create_task(self._run(tickets, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, tickets: Sequence[Ticket], work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        finally:
            self.run_ids.difference_update([ticket.id for ticket in tickets])

    async def wait(self, seconds: float) -> None:
        """Wait at most `seconds` for all tasks."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def cancel(self) -> None:
        """Cancel all tasks, and wait until they have recorded their runs, within a limit."""
        for task in self._tasks:
            task.cancel()
        await self.wait(CANCELLATION_TIMEOUT)

    async def wait_until_idle(self) -> None:
        """Wait for all tasks, including those that are started meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)
