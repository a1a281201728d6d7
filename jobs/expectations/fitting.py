"""Whether entries fit the check whose answers they judge. Called by who has both, as jobs.definition does. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.expectations.entry import Entry


def refuse_unfit(entries: Iterable[Entry], kind: str, url: str = "") -> None:
    """Raises ValueError with the entry, the kind of check, and what fits. `url`: of an HTTP check."""
    for place, entry in enumerate(entries):
        key = key_of(entry)
        if kind not in entry.kinds:
            fits = ", ".join(entry.kinds)
            raise ValueError(f"{key} (entry {place + 1}) does not fit a check of kind {kind}: it is for {fits}")
        if entry.about == "certificate" and url.startswith("http://"):
            raise ValueError(
                f"{key} (entry {place + 1}) needs a certificate, and an http:// URL has none: use https://"
            )


def key_of(entry: Entry) -> str:
    """The key that an entry is known by: its own first one."""
    name, field = next((name, field) for name, field in type(entry).model_fields.items() if field.is_required())
    return field.alias or name
