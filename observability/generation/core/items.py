"""The identity of items of lists, so that lists are merged by item and not by position. Pure.

Called by observability.generation.core.merge and observability.generation.core.drift.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from observability.generation.core.document import ItemKey, Json

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
    left = set(remaining)
    main, other = (ours, theirs) if _has_order_of(base, theirs) else (theirs, ours)
    order = [identity for identity in main if identity in left]
    placed = set(order)
    previous: Identity | None = None
    for identity in other:
        if identity in left and identity not in placed:
            order.insert(0 if previous is None else order.index(previous) + 1, identity)
            placed.add(identity)
        if identity in placed:
            previous = identity
    return order


def _has_order_of(base: Sequence[Identity], other: Sequence[Identity]) -> bool:
    common = set(base) & set(other)
    return [one for one in base if one in common] == [one for one in other if one in common]
