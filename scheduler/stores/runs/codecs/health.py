"""The health document of an attempt as a part of its stored text and back. Used by details.py.

    [word, status, count, [[name, duration], [name, duration, word, status, effect, text, observed], ...], up]

`up` is the word of most entries that are up. Such an entry has its name and its duration only: most entries
are up, and each row has all of them. Positions are only ever appended; milliseconds are whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from jobs.runs.details import EntryEffect, EntryStatus, HealthDetail, ReportedEntry

_E = TypeVar("_E", bound=StrEnum)


def encode_health(health: HealthDetail) -> list[Any]:
    """Return the parts."""
    up = _up_word(health.entries)
    entries = [_entry_parts(entry, up) for entry in health.entries]
    return [health.word, health.status.value, health.entry_count, entries, up]


def decode_health(parts: Sequence[Any]) -> HealthDetail:
    word, status, count, entries, up, *_ = parts
    return HealthDetail(word, _status(status), tuple(_read_entry(entry, up) for entry in entries), count)


def _up_word(entries: Sequence[ReportedEntry]) -> str:
    """Return the word of most entries that are up."""
    common = Counter(entry.word for entry in entries if entry.status is EntryStatus.UP).most_common(1)
    return common[0][0] if common else ""


def _entry_parts(entry: ReportedEntry, up: str) -> list[Any]:
    took = None if entry.duration_ms is None else round(entry.duration_ms)
    plain = (entry.status, entry.word, entry.effect, entry.text, entry.observed)
    if plain == (EntryStatus.UP, up, EntryEffect.NONE, "", ""):
        return [entry.name] if took is None else [entry.name, took]
    return [entry.name, took, entry.word, entry.status.value, entry.effect.value, entry.text, entry.observed]


def _read_entry(parts: Sequence[Any], up: str) -> ReportedEntry:
    name, took, word, status, effect, text, observed, *_ = [*parts, None, None, None, None, None, None]
    if word is None:
        return ReportedEntry(name, EntryStatus.UP, up, duration_ms=took)
    return ReportedEntry(
        name, _status(status), word, text or "", took, observed or "", _member(effect, EntryEffect, EntryEffect.NONE)
    )


def _status(text: Any) -> EntryStatus:
    return _member(text, EntryStatus, EntryStatus.UNKNOWN)


def _member(text: Any, values: type[_E], default: _E) -> _E:
    """Read a value of a newer version as the default."""
    try:
        return values(text)
    except ValueError:
        return default
