"""A health document as JSON for the way out of the judging process, and back. Used by judgement.py. Pure.

The entries that are stored anyway suffice (MOST_HEALTH_ENTRIES), those that count first.
"""

from __future__ import annotations

from typing import Any

from jobs.runs.details import EntryEffect, EntryStatus, HealthDetail, ReportedEntry, first_entries


def pack_health(health: HealthDetail) -> Any:
    """Return a JSON value."""
    entries = [
        [entry.name, entry.status.value, entry.word, entry.text, entry.duration_ms, entry.observed, entry.effect.value]
        for entry in first_entries(health.entries)
    ]
    return [health.word, health.status.value, entries, health.entry_count]


def unpack_health(packed: Any) -> HealthDetail:
    """Return the document of such a value."""
    word, status, entries, count = packed
    return HealthDetail(
        word,
        EntryStatus(status),
        tuple(
            ReportedEntry(name, EntryStatus(own), shown, text, took, observed, EntryEffect(effect))
            for name, own, shown, text, took, observed, effect in entries
        ),
        count,
    )
