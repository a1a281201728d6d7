"""A cache of objects that are compiled from texts, with a limit of their total size. Used by the other engines.

A limit of their number is not enough: a text of 1,000 characters from a job file can compile to megabytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class CompiledCache(Generic[T]):
    """Compiles each text once, and evicts the least recently used. Thread-safe."""

    def __init__(self, compile_text: Callable[[str], tuple[T, int]], capacity: int) -> None:
        """`compile_text`: returns the compiled object, and its size in the unit of `capacity`.

        `capacity`: the largest total size; the latest object is cached whatever its size.
        """
        self._compile = compile_text
        self._capacity = capacity
        self._held: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0
        """The total size of the cached objects."""

    def get_compiled(self, text: str) -> T:
        """Return the compiled object of a text. Raises the errors of `compile_text`."""
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
