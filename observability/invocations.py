"""Which invocation of the Functions host the code runs in. Entered by scheduler.hosts.functions, used by logs and
spans.

The Functions host drops log records of the app that do not belong to an invocation which is running now. Those of
background threads, and of tasks that outlive their invocation, are therefore held back for the next invocation.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

MAX_HELD_RECORDS: Final = 200
"""Records that are held back at most; the oldest give way. The timer releases them each minute."""


@dataclass
class Invocation:
    """One call of a function. `id` and `trace_parent` (W3C) are empty if the caller did not hand them over."""

    id: str = ""
    trace_parent: str = ""
    is_running: bool = field(default=True, init=False)


_current: ContextVar[Invocation | None] = ContextVar("functions_invocation", default=None)


def current_invocation() -> Invocation | None:
    """Return the invocation that this code was started by, also if it has ended since."""
    return _current.get()


@contextmanager
def run_in_invocation(invocation: Invocation) -> Iterator[None]:
    """Mark the block, and the tasks that it starts, as part of the invocation; log first what was held back."""
    token = _current.set(invocation)
    try:
        HELD_RECORDS.release()
        yield
    finally:
        invocation.is_running = False
        _current.reset(token)


class HeldRecords:
    """Log records that wait for the next invocation, with the handler that is to pass each on. Thread-safe."""

    def __init__(self, capacity: int = MAX_HELD_RECORDS) -> None:
        self._capacity = capacity
        self._records: deque[tuple[logging.Handler, logging.LogRecord]] = deque()
        self._dropped = 0

    def add(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        if record.args:
            # The arguments may change until then.
            record.msg, record.args = record.getMessage(), None
        self._records.append((handler, record))
        while len(self._records) > self._capacity:
            self._records.popleft()
            self._dropped += 1

    def clear(self) -> None:
        """Forget everything, for tests."""
        self._records.clear()
        self._dropped = 0

    def release(self) -> None:
        """Forward the held records, in order."""
        dropped, self._dropped = self._dropped, 0
        for _ in range(len(self._records)):
            handler, record = self._records.popleft()
            handler.handle(record)
        if dropped:
            _log.warning("dropped %d log records of background tasks: no invocation started in time", dropped)


class InvocationFilter(logging.Filter):
    """Holds back what the Functions host would drop. A filter of the Functions worker's handler."""

    def __init__(self, handler: logging.Handler, held: HeldRecords | None = None) -> None:
        super().__init__()
        self._handler = handler
        self._held = held or HELD_RECORDS

    def filter(self, record: logging.LogRecord) -> bool:
        if _is_attributed():
            return True
        self._held.add(self._handler, record)
        return False


def _is_attributed() -> bool:
    """Return whether the worker finds the invocation here: it reads the loop's current task, never other threads."""
    invocation = _current.get()
    if invocation is None or not invocation.is_running:
        return False
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


HELD_RECORDS: Final = HeldRecords()
_log = logging.getLogger("observability.invocations")
