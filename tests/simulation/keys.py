"""Sorted texts in chunks, so that adding and removing stay cheap however many there are. Used by storage."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

_LONGEST = 1000
"""Texts of a chunk; a longer one is cut in two."""


class SortedKeys:
    def __init__(self) -> None:
        self._chunks: list[list[str]] = [[]]
        self._firsts: list[str] = [""]
        """Where each chunk begins."""

    def add(self, key: str) -> None:
        """One that is not there."""
        at = bisect_right(self._firsts, key) - 1
        chunk = self._chunks[at]
        insort(chunk, key)
        if len(chunk) > _LONGEST:
            middle = len(chunk) // 2
            self._chunks[at : at + 1] = [chunk[:middle], chunk[middle:]]
            self._firsts.insert(at + 1, chunk[middle])

    def remove(self, key: str) -> None:
        """One that is there."""
        at = bisect_right(self._firsts, key) - 1
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, key)]
        if not chunk and at > 0:
            del self._chunks[at], self._firsts[at]

    def between(self, after: str, until: str) -> Iterator[str]:
        """Those that are greater than `after` and, unless it is "", less than `until`, in order."""
        at = bisect_right(self._firsts, after) - 1
        start = bisect_right(self._chunks[at], after)
        for chunk in self._chunks[at:]:
            for key in chunk[start:]:
                if until and key >= until:
                    return
                yield key
            start = 0
