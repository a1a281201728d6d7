"""Pauses between slices of an exporter's work. Used by background and the deliveries.

A thread that computes holds the interpreter's lock, and the event loop waits for it several times a run. An exporter
works in bursts: after seconds of gathering, hundreds of events are converted. Without pauses, each run within a burst
would wait for each of its turns; with them, it waits for one slice at most.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

WORK_SLICE_S: Final = 0.0005
"""Processor time of a thread after which it pauses."""
PAUSE_S: Final = 0.002
"""So an exporter uses at most a fifth of a core while nothing is urgent."""


class Pace:
    """`is_urgent`: whether work is not delayed: many events wait, or the program stops. Any thread may pause."""

    def __init__(
        self,
        is_urgent: Callable[[], bool] = lambda: False,
        *,
        worked: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`worked`: the processor time of the current thread, in seconds."""
        self._is_urgent = is_urgent
        self._worked = worked
        self._sleep = sleep
        self._slice = threading.local()

    def pause(self) -> None:
        """Sleep if this thread has worked for a slice."""
        worked = self._worked()
        began = getattr(self._slice, "began", None)
        if began is None:
            self._slice.began = worked
        elif worked - began >= WORK_SLICE_S:
            if not self._is_urgent():
                self._sleep(PAUSE_S)
            self._slice.began = worked

    def spread(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, with pauses between them."""
        for item in items:
            self.pause()
            yield item


def encode_list(items: Iterable[object], pace: Pace) -> bytes:
    """Return the JSON of a list. The encoder of a whole list would not let another thread run meanwhile."""
    return f"[{','.join(json.dumps(item) for item in pace.spread(items))}]".encode()
