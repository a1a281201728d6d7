"""Reads health documents of Eclipse MicroProfile Health. Called through formats.py.

Quarkus, Open Liberty, Payara and Helidon write them.
`checks` is a list of objects with `name`, `status` and `data`. Version 1 has `outcome` and `state` instead of `status`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.expectations.health.document import HealthDocument, make_document, make_entry, read_word
from jobs.runs.details import ReportedEntry


def read_microprofile(value: Any) -> HealthDocument | None:
    """Return the document; None if the value has another shape."""
    if not isinstance(value, Mapping):
        return None
    word, checks = value.get("status", value.get("outcome")), value.get("checks")
    if not read_word(word) or not isinstance(checks, list):
        return None
    return make_document(word, _entries(checks))


def _entries(checks: list[Any]) -> Iterator[ReportedEntry]:
    for check in checks:
        if isinstance(check, Mapping):
            word = read_word(check.get("status", check.get("state")))
            yield make_entry(check.get("name"), word, check, check.get("data"))
