"""The differences between what was applied and what is in a tool now. Pure.

Called by observability.generation.core.applying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from observability.generation.core.document import DEFAULT_ITEM_KEYS, ItemKey, Json, is_same_json
from observability.generation.core.items import identify_items
from observability.generation.core.merge import MISSING, Pointer


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """A value that differs. MISSING: it does not exist on that side."""

    pointer: Pointer
    before: Json
    after: Json


def find_differences(
    before: Json, after: Json, item_keys: Sequence[ItemKey] = DEFAULT_ITEM_KEYS
) -> list[ValueDifference]:
    """Return each difference at its deepest place, in the order of the document."""
    return list(_compare(before, after, tuple(item_keys), ()))


def _compare(before: Json, after: Json, item_keys: tuple[ItemKey, ...], pointer: Pointer) -> Iterator[ValueDifference]:
    if before is MISSING or after is MISSING:
        yield ValueDifference(pointer, before, after)
    elif is_same_json(before, after):
        return
    elif isinstance(before, dict) and isinstance(after, dict):
        yield from _compare_keys(before, after, item_keys, pointer)
    elif (
        isinstance(before, list)
        and isinstance(after, list)
        and (found := identify_items((before, after), 1, item_keys))
    ):
        old, new = found
        common = [identity for identity in old if identity in new]
        reordered = [identity for identity in new if identity in old]
        if common != reordered:
            yield ValueDifference((*pointer, "order"), common, reordered)
        yield from _compare_keys(old, new, item_keys, pointer)
    else:
        yield ValueDifference(pointer, before, after)


def _compare_keys(
    before: Mapping[str, Json], after: Mapping[str, Json], item_keys: tuple[ItemKey, ...], pointer: Pointer
) -> Iterator[ValueDifference]:
    for key in dict.fromkeys((*before, *after)):
        yield from _compare(before.get(key, MISSING), after.get(key, MISSING), item_keys, (*pointer, key))
