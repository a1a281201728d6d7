"""Checks that entries of `expect` fit the kind of check. Called by jobs.definition and jobs.targets.steps. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.expectations.entry import ExpectationEntry


def check_applicable(entries: Iterable[ExpectationEntry], kind: str, url: str = "") -> None:
    """Raise ValueError for an entry that does not fit; the message lists the kinds that do. `url`: of an HTTP check."""
    for place, entry in enumerate(entries):
        key = entry_key(entry)
        if kind not in entry.kinds:
            fits = ", ".join(entry.kinds)
            raise ValueError(f"{key} (entry {place + 1}) does not fit a check of kind {kind}; it fits {fits}")
        if entry.about == "certificate" and url.startswith("http://"):
            raise ValueError(
                f"{key} (entry {place + 1}) needs a certificate, but an http:// URL has none: use https://"
            )


def entry_key(entry: ExpectationEntry) -> str:
    """Return the key that identifies the entry: its first required field."""
    name, field = next((name, field) for name, field in type(entry).model_fields.items() if field.is_required())
    return field.alias or name
