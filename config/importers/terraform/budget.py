"""How much the evaluation of a configuration in HCL can take: locals that refer to each other can double 40 times, and
`for` expressions within each other multiply. Used by scope and the modules that evaluate. Pure.
"""

from __future__ import annotations

from typing import Any

from config.importers.errors import UnreadableSource

MAX_STEPS = 1_000_000
"""Evaluated parts of expressions, entries and hundreds of characters of what they make: a few seconds."""
MAX_TEXT = 200_000
"""Characters of one text."""
MAX_ENTRIES = 100_000
"""Values within one value, wherever they are nested, and hundreds of characters of its texts."""
MAX_DEPTH = 50
MAX_BITS = 1024
"""Of a whole number."""


class TooLarge(Exception):
    """A value that is larger than any value of a job; the message names it."""


class Budget:
    """The steps of one configuration. `shown`: its file in errors."""

    def __init__(self, shown: str = "terraform", steps: int = MAX_STEPS) -> None:
        self._shown = shown
        self.left = steps
        self._sizes: dict[int, tuple[Any, int, int]] = {}
        """Containers with their size and depth by identity: one that is part of others is measured once."""

    def spend(self, steps: int) -> None:
        """Raises UnreadableSource: no steps are left."""
        self.left -= steps
        if self.left < 0:
            message = f"its expressions take more than {MAX_STEPS} steps"
            raise UnreadableSource(self._shown, message, "import the JSON of terraform show -json")

    def measure(self, value: Any) -> int:
        """Return the size of a value, and spend it. Raises TooLarge, UnreadableSource."""
        size, _ = self._measure(value)
        return size

    def _measure(self, value: Any) -> tuple[int, int]:
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise TooLarge(f"a text of more than {MAX_TEXT} characters")
            self.spend(len(value) // 100)
            return 1 + len(value) // 100, 0
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise TooLarge("a number of more than 300 digits")
        if not isinstance(value, (dict, list)):
            return 1, 0
        known = self._sizes.get(id(value))
        if known is None:
            known = self._sizes[id(value)] = (value, *self._measure_parts(value))
        return known[1:]

    def _measure_parts(self, value: dict[Any, Any] | list[Any]) -> tuple[int, int]:
        self.spend(1 + len(value))
        size, depth = 1, 0
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            inner, level = self._measure(one)
            size, depth = size + inner, max(depth, level + 1)
            if size > MAX_ENTRIES:
                raise TooLarge(f"a value with more than {MAX_ENTRIES} others")
            if depth > MAX_DEPTH:
                raise TooLarge(f"a value of more than {MAX_DEPTH} levels")
        return size, depth
