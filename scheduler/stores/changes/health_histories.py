"""Stores the states of the entries of health documents: one row a job. Used by scheduler.changes.tracking and
scheduler.features.changes.queries.

A row has at most MOST_TRACKED_ENTRIES entries with MOST_ENTRY_CHANGES changes each. It is written only if an entry
changes, fenced by its etag, and deleted with the last change of a job that was removed (repository.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.formats.instants import parse_instant
from jobs.runs.details import EntryEffect, EntryStatus, ReportedEntry
from jobs.runs.health_history import EntryChange, EntryHistory, HealthHistory
from scheduler.stores.changes.keys import CHANGES_PARTITION, CHANGES_TABLE, health_key
from scheduler.stores.port import Insert, Replace, Store
from scheduler.stores.rows.json_text import decode_json, encode_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class StoredHealthHistory:
    history: HealthHistory
    etag: str


class HealthHistories:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, job: str) -> StoredHealthHistory | None:
        """Return the history of a job; None without a health document so far."""
        row = await self._store.get_row(CHANGES_TABLE, CHANGES_PARTITION, health_key(job))
        return None if row is None else StoredHealthHistory(_decode(job, decode_json(row.body)), row.etag)

    async def write(self, history: HealthHistory, etag: str) -> StoredHealthHistory:
        """Store a history. `etag`: of the one before; empty for the first one.

        Raises:
            RowExists, RowChanged: the job has another one: read it.
        """
        row = (CHANGES_TABLE, CHANGES_PARTITION, health_key(history.job), encode_json(_encode(history)))
        etags = await self._store.apply(Replace(*row, etag) if etag else Insert(*row))
        return StoredHealthHistory(history, etags[0])


def _encode(history: HealthHistory) -> dict[str, Any]:
    return {
        "due": history.latest_due.isoformat(),
        "run": history.latest_run,
        "entries": [_encode_entry(each) for each in history.entries],
    }


def _encode_entry(each: EntryHistory) -> list[Any]:
    entry = each.entry
    changes = [[(change.at - _EPOCH) // _MILLISECOND, change.status] for change in each.changes]
    return [entry.name, entry.word, entry.status, entry.effect, entry.text, entry.observed, each.run, changes]


def _decode(job: str, body: dict[str, Any]) -> HealthHistory:
    entries = tuple(map(_decode_entry, body["entries"]))
    return HealthHistory(job, entries, parse_instant(body["due"]), body["run"])


def _decode_entry(parts: Sequence[Any]) -> EntryHistory:
    name, word, status, effect, text, observed, run, changes, *_ = parts
    entry = ReportedEntry(name, EntryStatus(status), word, text, None, observed, EntryEffect(effect))
    return EntryHistory(
        entry,
        run,
        tuple(
            EntryChange(_EPOCH + at * _MILLISECOND, None if entered is None else EntryStatus(entered))
            for at, entered, *_ in changes
        ),
    )
