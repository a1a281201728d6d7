"""Splits changes into groups that every store makes all or none. Used by the Azure store and by the tests' stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from scheduler.stores.port import LARGEST_ATOMIC_GROUP, Change


def split_into_atomic_groups(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Yield neighbours of one partition together, up to LARGEST_ATOMIC_GROUP changes of different rows."""
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
