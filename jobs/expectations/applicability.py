"""Checks that entries of `expect` fit the kind of check. Called by jobs.definition and jobs.targets.steps. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from jobs.expectations.entry import ExpectationEntry
from jobs.expectations.features import Feature


def check_applicable(
    entries: Iterable[ExpectationEntry], kind: str, features: Collection[Feature], url: str = ""
) -> None:
    """Raise ValueError for an entry that needs another feature. `features`: of the kind; `url`: of an HTTP check."""
    for number, entry in enumerate(entries, 1):
        head = f"{entry.entry_key()} (entry {number})"
        if entry.needs not in features:
            raise ValueError(f"{head} does not fit a check of kind {kind}: it needs {entry.needs.value}")
        if entry.needs is Feature.CERTIFICATE and url.startswith("http://"):
            raise ValueError(f"{head} needs a certificate, but an http:// URL has none: use https://")
