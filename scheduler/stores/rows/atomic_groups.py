"""How far changes are made all or none by every store. Used by azure_store, and by the tests' stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from scheduler.stores.port import LARGEST_ATOMIC_GROUP, Change


def split_into_atomic_groups(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Neighbours of one partition together, as far as they are at most LARGEST_STEP of different rows."""
    for _, together in groupby(changes, key=lambda change: (change.table, change.partition)):
        step: list[Change] = []
        keys: set[str] = set()
        for change in together:
            if len(step) == LARGEST_ATOMIC_GROUP or change.key in keys:
                yield step
                step, keys = [], set()
            step.append(change)
            keys.add(change.key)
        yield step
