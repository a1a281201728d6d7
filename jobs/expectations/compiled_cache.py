"""A cache of what is compiled from texts, bounded by their sizes. Called by patterns.py, queries.py and expressions.py.

A bound of the number alone is not enough: the texts come from job files, and what a text of 1,000 characters becomes
may take megabytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class CompiledCache(Generic[T]):
    """Compiles each text once, and forgets what was not used for longest. May be used by several threads."""

    def __init__(self, compile_text: Callable[[str], tuple[T, int]], capacity: int) -> None:
        """`compile_text`: returns what a text is compiled to, and its size in the unit of `capacity`.

        `capacity`: the most that is held altogether; the latest is held whatever its size.
        """
        self._compile = compile_text
        self._capacity = capacity
        self._held: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0
        """Of all that is held."""

    def get(self, text: str) -> T:
        """Return what the text is compiled to. Raises what compiling it raises."""
        with self._lock:
            held = self._held.get(text)
            if held is not None:
                self._held.move_to_end(text)
                return held[0]
        compiled, size = self._compile(text)
        with self._lock:
            self._put(text, compiled, size)
        return compiled

    def _put(self, text: str, compiled: T, size: int) -> None:
        _, before = self._held.pop(text, (None, 0))
        self.size += size - before
        self._held[text] = compiled, size
        while self.size > self._capacity and len(self._held) > 1:
            _, (_, dropped) = self._held.popitem(last=False)
            self.size -= dropped
