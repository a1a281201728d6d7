"""A health document of any framework, its words and its limits, and the forms of durations that writers use. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs.runs.details import EntryStatus, ReportedEntry

MAX_ENTRIES = 1000
"""Entries of a document."""
DEEPEST_NESTING = 8
"""Levels of nested components."""
MAX_NAME = 200
"""Characters of an entry's name with its path."""
MAX_TEXT = 4096
"""Characters of a text before secrets are redacted and it is shortened."""
_MAX_WORD = 40
_MAX_PAIRS = 3
"""Values of a `data` object that replace a missing description."""

_STATUS_OF_WORD = {
    **dict.fromkeys(("healthy", "up", "pass", "ok"), EntryStatus.UP),
    **dict.fromkeys(("degraded", "warn", "warning"), EntryStatus.DEGRADED),
    **dict.fromkeys(("unhealthy", "down", "out_of_service", "fail", "error"), EntryStatus.DOWN),
}
"""Of all frameworks: no word means different things in two of them."""

_TEXT_KEYS = ("description", "exception", "error", "errormessage", "message", "reason", "output")


class NotHealthDocument(Exception):
    """The answer is not a health document of the format, or it is beyond a limit; the message is a clause."""


@dataclass(frozen=True, slots=True)
class HealthDocument:
    """`word`, `status` and `text`: of the whole."""

    word: str
    status: EntryStatus
    entries: tuple[ReportedEntry, ...] = ()
    text: str = ""


def make_document(word: Any, entries: Iterable[ReportedEntry] = (), text: str = "") -> HealthDocument:
    """Return a document whose entries have different names. Raises NotHealthDocument: it has too many."""
    found: dict[str, ReportedEntry] = {}
    seen: dict[str, int] = {}
    for entry in entries:
        if len(found) == MAX_ENTRIES:
            raise NotHealthDocument(f"a document with more than {MAX_ENTRIES} entries: reduce the answer of the target")
        named = entry
        while named.name in found:
            number = seen[entry.name] = seen.get(entry.name, 1) + 1
            named = replace(entry, name=f"{entry.name} ({number})")
        found[named.name] = named
    shown = read_word(word)
    return HealthDocument(shown, status_of(shown), tuple(found.values()), text)


def make_entry(
    name: Any, word: str, *sources: Any, duration_ms: float | None = None, observed: str = ""
) -> ReportedEntry:
    """Return an entry; `sources`: see read_text. One that is up has no text: it describes a configuration."""
    status = status_of(word)
    text = "" if status is EntryStatus.UP else read_text(*sources)
    return ReportedEntry(read_name(name), status, word, text, duration_ms, observed)


def status_of(word: str) -> EntryStatus:
    return _STATUS_OF_WORD.get(word.strip().lower(), EntryStatus.UNKNOWN)


def read_word(value: Any) -> str:
    """Return a status as it was written, shortened; empty if the value is not a text."""
    return value.strip()[:_MAX_WORD] if isinstance(value, str) else ""


def read_name(value: Any) -> str:
    name = value if isinstance(value, str) else ""
    return name.strip()[:MAX_NAME] or "unnamed"


def read_text(*sources: Any) -> str:
    """Return the first description or error in these objects; failing that, the first texts and numbers of the last."""
    for source in sources:
        if isinstance(source, Mapping):
            lower = lower_keys(source)
            for key in _TEXT_KEYS:
                if text := _as_text(lower.get(key)):
                    return text
    return _pairs(sources[-1]) if sources and isinstance(sources[-1], Mapping) else ""


def lower_keys(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object with its keys in lower case: writers differ in `Status` and `status`."""
    return {key.lower(): value for key, value in source.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):  # a serialized exception
        value = next((text for key, text in value.items() if key.lower() == "message"), None)
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def _pairs(source: Mapping[str, Any]) -> str:
    # The data of frameworks is a flat object of values that the application chose.
    pairs = (
        f"{key}: {value}" if isinstance(value, str) else f"{key}: {value!r}"
        for key, value in list(source.items())[:_MAX_PAIRS]
        if isinstance(value, (str, int, float)) and key != "status"
    )
    return ", ".join(pairs)[:MAX_TEXT]


_TIME_SPAN = re.compile(r"(?:(\d{1,6})\.)?(\d{1,2}):(\d{2}):(\d{2}(?:\.\d{1,9})?)")
"""`[d.]hh:mm:ss[.fffffff]`, the form of .NET."""
_ISO = re.compile(r"PT(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?")
_WITH_UNIT = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*(ms|milliseconds|s|seconds)")
_MAX_FORM = 40
_MAX_MS = 1e12

_MILLISECOND_KEYS = ("durationms", "durationmilliseconds", "durationinms", "elapsedms", "elapsedmilliseconds")
_ANY_KEYS = ("duration", "elapsed", "took", "responsetime")


def read_duration_ms(entry: Mapping[str, Any]) -> float | None:
    """Return the milliseconds of an entry whose keys are in lower case; None if it has none in a known form.

    A bare number is milliseconds. A bare number in a text can be seconds as well, and is not read.
    """
    for key in _MILLISECOND_KEYS:
        if (found := _number(entry.get(key))) is not None:
            return found
    for key in _ANY_KEYS:
        value = entry.get(key)
        if (found := parse_duration_ms(value) if isinstance(value, str) else _number(value)) is not None:
            return found
    return None


def parse_duration_ms(text: str) -> float | None:
    """Return the milliseconds of `00:00:23.1`, `PT23.1S`, `250 ms` or `23.1s`; None for any other text."""
    text = text.strip()
    if len(text) > _MAX_FORM:
        return None
    if (span := _TIME_SPAN.fullmatch(text)) is not None:
        days, hours, minutes, seconds = span.groups()
        return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60_000 + float(seconds) * 1000
    if (iso := _ISO.fullmatch(text)) is not None and any(iso.groups()):
        hours, minutes, seconds = iso.groups()
        return (int(hours or 0) * 60 + int(minutes or 0)) * 60_000 + float(seconds or 0) * 1000
    if (unit := _WITH_UNIT.fullmatch(text.lower())) is not None:
        return float(unit[1]) * (1 if unit[2].startswith("m") else 1000)
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= _MAX_MS and math.isfinite(value) else None
