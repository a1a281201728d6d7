"""Writes sets of numbers as fields of cron expressions. Used by the sources. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def format_numbers(numbers: Iterable[int], least: int, most: int) -> str:
    """Return `*` for all numbers of the field, `*/5`, a range such as `1-5`, or a list."""
    ordered = sorted(set(numbers))
    if ordered == list(range(least, most + 1)):
        return "*"
    if len(ordered) > 2:
        step = ordered[1] - ordered[0]
        if step > 1 and ordered == list(range(least, most + 1, step)):
            return f"*/{step}"
        if ordered == list(range(ordered[0], ordered[-1] + 1)):
            return f"{ordered[0]}-{ordered[-1]}"
    return ",".join(map(str, ordered))
