"""Reads the health reports of ASP.NET Core. Called through formats.py.

ASP.NET itself writes the status alone, as text. JSON comes from a response writer of the application: the package
AspNetCore.HealthChecks.UI.Client (`entries`, an object by name), the example of Microsoft's documentation (`results`,
the same), a serialized report with numbers for the statuses, and similar writers with a list (`checks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.expectations.health.document import (
    HealthDocument,
    lower_keys,
    make_document,
    make_entry,
    read_duration_ms,
    read_text,
    read_word,
)
from jobs.runs.details import ReportedEntry

WORDS = ("healthy", "degraded", "unhealthy")
_WORD_OF_NUMBER = {0: "Unhealthy", 1: "Degraded", 2: "Healthy"}
"""The enumeration HealthStatus of .NET."""
_ENTRY_KEYS = ("entries", "results", "checks", "healthchecks", "dependencies", "info")


def read_aspnet(value: Any) -> HealthDocument | None:
    """Return the document; None if the value has another shape."""
    if not isinstance(value, Mapping):
        return None
    report = lower_keys(value)
    word = _word(report.get("status", report.get("overallstatus")))
    if not word:
        return None
    listed = next((report[key] for key in _ENTRY_KEYS if isinstance(report.get(key), (Mapping, list))), ())
    return make_document(word, _entries(listed), read_text(report, None))


def _entries(listed: Any) -> Iterator[ReportedEntry]:
    if isinstance(listed, Mapping):
        named = ((name, entry) for name, entry in listed.items())
    else:
        named = ((_name(entry), entry) for entry in listed if isinstance(entry, Mapping))
    for name, entry in named:
        if isinstance(entry, Mapping):
            yield _entry(name, lower_keys(entry))
        elif word := _word(entry):  # {"cosmosdb": "Unhealthy"}
            yield make_entry(name, word)


def _name(entry: Mapping[str, Any]) -> Any:
    keys = lower_keys(entry)
    return next((keys[key] for key in ("name", "key", "component", "check") if isinstance(keys.get(key), str)), None)


def _entry(name: str, entry: Mapping[str, Any]) -> ReportedEntry:
    nested = entry.get("value")
    if "status" not in entry and isinstance(nested, Mapping):  # a serialized key and value
        entry = lower_keys(nested)
    word, took = _word(entry.get("status")), read_duration_ms(entry)
    return make_entry(name, word, entry, entry.get("data"), duration_ms=took)


def _word(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return _WORD_OF_NUMBER.get(value, "")
    return read_word(value)
