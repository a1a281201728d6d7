"""The entries of a health document that a target reported, with what each counts for its job. Pure values.

Read by jobs.expectations.health, stored with the attempt by jobs.running.attempt_details, compared from run to run by
jobs.runs.health_history.
"""

from __future__ import annotations

from enum import StrEnum

from jobs.fast_frozen import fast_frozen


class EntryStatus(StrEnum):
    """The status that a word of a framework stands for. The values are stored: add, never rename."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    """The framework's own `UNKNOWN`, or a word that no supported framework has."""


class EntryEffect(StrEnum):
    """What an entry counts for the job. The values are stored: add, never rename."""

    NONE = "none"
    """It is up or unknown, or the job ignores it."""
    DEGRADED = "degraded"
    DOWN = "down"


@fast_frozen(frozen=True, slots=True)
class ReportedEntry:
    """One entry. `name`: the path of a nested one, such as `db/primary`. `word`: the status as the target wrote it."""

    name: str
    status: EntryStatus
    word: str
    text: str = ""
    """The error, or the description."""
    duration_ms: float | None = None
    observed: str = ""
    """A measured value with its unit, such as `250 ms`."""
    effect: EntryEffect = EntryEffect.NONE


@fast_frozen(frozen=True, slots=True)
class HealthDetail:
    """A health document. `word` and `status`: of the whole. `entries` may be shortened; `entry_count` is the number."""

    word: str
    status: EntryStatus
    entries: tuple[ReportedEntry, ...]
    entry_count: int


MOST_HEALTH_ENTRIES = 50
"""Entries that history stores of a document."""

_RANK = {EntryEffect.DOWN: 0, EntryEffect.DEGRADED: 1, EntryEffect.NONE: 2}


def first_entries(entries: tuple[ReportedEntry, ...]) -> tuple[ReportedEntry, ...]:
    """Return the entries that history stores, in order: those that count, then those that are not up."""
    if len(entries) <= MOST_HEALTH_ENTRIES:
        return entries
    ranked = sorted(
        range(len(entries)), key=lambda at: (_RANK[entries[at].effect], entries[at].status is EntryStatus.UP)
    )
    return tuple(entries[at] for at in sorted(ranked[:MOST_HEALTH_ENTRIES]))
