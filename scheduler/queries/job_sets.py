"""Lists the sets of stored jobs. Pure. Called by scheduler.queries.stored_jobs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from scheduler.stores.stored_jobs.tree import StoredEntry, parse_stamp


@dataclass(frozen=True, slots=True)
class SetSummary:
    """`jobs`: the number of jobs of this owner. `changed_at`: when one of them was last written."""

    owner: str
    jobs: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class SetPage:
    """By owner. `generation`: of all stored jobs. `continuation`: None on the last page."""

    sets: tuple[SetSummary, ...]
    generation: int
    continuation: str | None


def summarize_sets(entries: Iterable[StoredEntry], generation: int, *, limit: int, after: str) -> SetPage:
    """Return a page of the sets of these entries."""
    counts: dict[str, int] = {}
    latest: dict[str, str] = {}
    for entry in entries:
        if entry.owner:
            counts[entry.owner] = counts.get(entry.owner, 0) + 1
            latest[entry.owner] = max(latest.get(entry.owner, ""), entry.stamp)
    owners = sorted(counts)
    start = bisect_right(owners, after)
    some = owners[start : start + limit]
    sets = tuple(SetSummary(owner, counts[owner], parse_stamp(latest[owner])) for owner in some)
    return SetPage(sets, generation, some[-1] if start + limit < len(owners) else None)
