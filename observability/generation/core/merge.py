"""The three-way merge of JSON values: what a person changed, and what the generator changed. Pure.

Called by observability.generation.core.reconciliation:

    merged = merge(base, ours, theirs)
    merged.value        # both changes; where both changed the same, theirs
    merged.conflicts    # where that is

`base` is what was applied last, `ours` is newly generated, `theirs` is in the tool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from observability.generation.core.document import DEFAULT_ITEM_KEYS, ItemKey, Json, is_same_json
from observability.generation.core.items import identify_items, merge_order


class Missing:
    """The value of a key or item that does not exist."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()

Pointer = tuple[str, ...]


def format_pointer(pointer: Pointer) -> str:
    """Return a JSON pointer (RFC 6901), in which an item of a list has its identity instead of its position."""
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in pointer)


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """A value that both sides changed, each to another one. MISSING: the value does not exist there."""

    pointer: Pointer
    base: Json
    ours: Json
    theirs: Json


@dataclass(frozen=True, slots=True)
class MergedValue:
    """`value`: the result. `settled`: ours, except that a conflict has the base's value: it remains a conflict."""

    value: Json
    settled: Json
    conflicts: tuple[MergeConflict, ...]


def merge(
    base: Json,
    ours: Json,
    theirs: Json,
    item_keys: Sequence[ItemKey] = DEFAULT_ITEM_KEYS,
    *,
    prefers_ours: bool = False,
) -> MergedValue:
    """Merge the changes from base to ours with those from base to theirs.

    Objects are merged by key, lists by item if their items have an identity. Where both sides changed the same value
    differently, the result has theirs, and a conflict; with `prefers_ours` it has ours and no conflict.
    """
    merger = _Merger(tuple(item_keys), prefers_ours)
    value, settled = merger.merge(base, ours, theirs, ())
    return MergedValue(value, settled, tuple(merger.conflicts))


class _Merger:
    def __init__(self, item_keys: tuple[ItemKey, ...], prefers_ours: bool) -> None:
        self._item_keys = item_keys
        self._prefers_ours = prefers_ours
        self.conflicts: list[MergeConflict] = []

    def merge(self, base: Json, ours: Json, theirs: Json, pointer: Pointer) -> tuple[Json, Json]:
        """Return the merged value, and the settled one."""
        if _is_same(ours, theirs) or _is_same(base, theirs):
            return ours, ours
        if _is_same(base, ours):
            return theirs, ours
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return self._merge_keys(base if isinstance(base, dict) else {}, ours, theirs, pointer)
        if isinstance(ours, list) and isinstance(theirs, list):
            merged = self._merge_items(base if isinstance(base, list) else [], ours, theirs, pointer)
            if merged is not None:
                return merged
        if self._prefers_ours:
            return ours, ours
        self.conflicts.append(MergeConflict(pointer, base, ours, theirs))
        return theirs, base

    def _merge_keys(
        self, base: Mapping[str, Json], ours: Mapping[str, Json], theirs: Mapping[str, Json], pointer: Pointer
    ) -> tuple[dict[str, Json], dict[str, Json]]:
        merged: dict[str, Json] = {}
        settled: dict[str, Json] = {}
        for key in dict.fromkeys((*theirs, *ours, *base)):
            values = base.get(key, MISSING), ours.get(key, MISSING), theirs.get(key, MISSING)
            value, rest = self.merge(*values, (*pointer, key))
            if value is not MISSING:
                merged[key] = value
            if rest is not MISSING:
                settled[key] = rest
        return merged, settled

    def _merge_items(
        self, base: list[Json], ours: list[Json], theirs: list[Json], pointer: Pointer
    ) -> tuple[list[Json], list[Json]] | None:
        found = identify_items((base, ours, theirs), 2, self._item_keys)
        if found is None:
            return None
        old, own, other = found
        merged, settled = self._merge_keys(old, own, other, pointer)
        order = merge_order(list(old), list(own), list(other), merged)
        rest = merge_order(list(old), list(own), list(old), settled)
        return [merged[identity] for identity in order], [settled[identity] for identity in rest]


def _is_same(one: Json, other: Json) -> bool:
    if one is MISSING or other is MISSING:
        return one is other
    return is_same_json(one, other)
