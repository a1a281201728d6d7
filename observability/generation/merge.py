"""The three-way merge of JSON values: what a person changed, and what the generator changed. Also drift. Pure.

    merged = merge(base, ours, theirs)
    merged.value        # both changes; where both changed the same, theirs
    merged.conflicts    # where that is

`base` is what was applied last, `ours` is newly generated, `theirs` is in the tool. Lists are merged by the identity of
their items and not by position. Drift is the difference of `base` and `theirs`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from observability.generation.document import DEFAULT_ITEM_KEYS, ItemKey, Json, is_same_json

Identity = str
"""What identifies an item among those of its list: `title=Failures`."""


def identify_items(
    lists: Sequence[Sequence[Json]], generated: int, item_keys: Iterable[ItemKey]
) -> list[dict[Identity, Json]] | None:
    """Return the items of each list by their identity, in order; None if the lists have no identities.

    `generated`: the first lists that must have the key in each item; an item of the others without it is identified by
    its content. Two items of one identity are numbered.
    """
    items = [item for each in lists for item in each]
    if not all(isinstance(item, dict) for item in items):
        return None
    known = [each for each in lists[:generated] if each] or [each for each in lists if each]
    key = next((key for key in item_keys if all(_is_key_of(key, each) for each in known)), None)
    return None if key is None else [_index_items(each, key) for each in lists]


def _is_key_of(key: ItemKey, items: Sequence[Json]) -> bool:
    values = [_read(item, key) for item in items]
    return None not in values and len(set(values)) == len(values)


def _read(item: Json, key: ItemKey) -> Identity | None:
    for step in key:
        item = item.get(step) if isinstance(item, dict) else None
    if isinstance(item, bool) or not isinstance(item, str | int) or item == "":
        return None
    return f"{'.'.join(key)}={item}"


def _index_items(items: Sequence[Json], key: ItemKey) -> dict[Identity, Json]:
    indexed: dict[Identity, Json] = {}
    for item in items:
        identity = _read(item, key) or f"item {json.dumps(item, sort_keys=True)}"
        number, unique = 1, identity
        while unique in indexed:
            number += 1
            unique = f"{identity} ({number})"
        indexed[unique] = item
    return indexed


def merge_order(
    base: Sequence[Identity], ours: Sequence[Identity], theirs: Sequence[Identity], remaining: Iterable[Identity]
) -> list[Identity]:
    """Return the identities of `remaining` in order: theirs, unless only ours was changed; new items follow their
    predecessor."""
    unordered = set(remaining)
    main, other = (ours, theirs) if _has_order_of(base, theirs) else (theirs, ours)
    order = [identity for identity in main if identity in unordered]
    placed = set(order)
    previous: Identity | None = None
    for identity in other:
        if identity in unordered and identity not in placed:
            order.insert(0 if previous is None else order.index(previous) + 1, identity)
            placed.add(identity)
        if identity in placed:
            previous = identity
    return order


def _has_order_of(base: Sequence[Identity], other: Sequence[Identity]) -> bool:
    common = set(base) & set(other)
    return [one for one in base if one in common] == [one for one in other if one in common]


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


def _is_same(value: Json, other: Json) -> bool:
    if value is MISSING or other is MISSING:
        return value is other
    return is_same_json(value, other)


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
