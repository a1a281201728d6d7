"""Reads the health endpoint of Spring Boot's Actuator. Called through formats.py.

Components are below `components`, and can have components themselves. Spring Boot 2.0 and 2.1 have them below
`details`, 1.x next to `status`. With `show-components: never` and `show-details: never`, which is the default, there is
only a status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.expectations.health.document import (
    DEEPEST_NESTING,
    HealthDocument,
    NotHealthDocument,
    make_document,
    make_entry,
    read_name,
    read_text,
    read_word,
    status_of,
)
from jobs.runs.details import EntryStatus, ReportedEntry

WORDS = ("up", "down", "out_of_service", "unknown")
_RANK = {EntryStatus.UNKNOWN: 0, EntryStatus.UP: 0, EntryStatus.DEGRADED: 1, EntryStatus.DOWN: 2}


def read_spring(value: Any) -> HealthDocument | None:
    """Return the document; None if the value has another shape."""
    if not isinstance(value, Mapping) or not read_word(value.get("status")):
        return None
    return make_document(
        value["status"], _entries(_components(value), "", 1), read_text({"description": value.get("description")}, None)
    )


def _components(node: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    for children in (node.get("components"), node.get("details"), node):
        if isinstance(children, Mapping):
            found = {name: child for name, child in children.items() if _is_component(child)}
            if found:
                return found
    return {}


def _is_component(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(read_word(value.get("status")))


def _entries(components: Mapping[str, Mapping[str, Any]], prefix: str, level: int) -> Iterator[ReportedEntry]:
    if level > DEEPEST_NESTING:
        raise NotHealthDocument(f"components that are nested more than {DEEPEST_NESTING} levels deep")
    for name, node in components.items():
        path = read_name(prefix + name)
        nested = tuple(_entries(_components(node), f"{path}/", level + 1))
        yield from nested
        word = read_word(node["status"])
        # A component that only sums up those below it is not a separate entry.
        if not nested or _RANK[status_of(word)] > max(_RANK[entry.status] for entry in nested):
            yield make_entry(path, word, node, node.get("details", node))
