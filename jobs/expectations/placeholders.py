"""Placeholders in the values that entries compare with: `{json: $.id, equals: "${order}"}`.

Called by jobs.targets.steps to validate them, and by jobs.checks.kinds.step_sequence to replace them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from jobs.expectations.entries.body import BodyEntry
from jobs.expectations.entry import ExpectationEntry, SparseModel

E = TypeVar("E", bound=SparseModel)

_VALUES = frozenset({"equals", "not_equals", "contains", "not_contains", "one_of"})
"""Keys whose values are JSON values."""
_TEXTS = frozenset(
    {
        "starts_with",
        "not_starts_with",
        "ends_with",
        "not_ends_with",
        "like",
        "not_like",
        "body_contains",
        "body_not_contains",
    }
)


def compared_values(entry: ExpectationEntry) -> Iterator[Any]:
    """Yield the values that can contain placeholders."""
    part = _part(entry)
    yield from (getattr(part, name) for name in part.model_fields_set & (_VALUES | _TEXTS))


def fill_compared_values(
    entry: ExpectationEntry, of_text: Callable[[str], str], of_value: Callable[[Any], Any]
) -> ExpectationEntry:
    """Return a copy with these values replaced by the two functions. Raises ValidationError for unsuitable values."""
    if isinstance(entry, BodyEntry):
        return entry.model_copy(update={"body": _changed(entry.body, of_text, of_value)})
    return _changed(entry, of_text, of_value)


def _part(entry: ExpectationEntry) -> SparseModel:
    return entry.body if isinstance(entry, BodyEntry) else entry


def _changed(part: E, of_text: Callable[[str], str], of_value: Callable[[Any], Any]) -> E:
    changes: dict[str, Any] = {}
    for name in part.model_fields_set:
        if name in _VALUES:
            changes[name] = of_value(getattr(part, name))
        elif name in _TEXTS:
            changes[name] = of_text(getattr(part, name))
    return type(part).model_validate({**part.model_dump(by_alias=True), **changes}) if changes else part
