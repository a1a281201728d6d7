"""The parents of a job for alerts: a failure of a parent explains that of the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from jobs.alerting.rule import NAME_PATTERN


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is listed twice: remove one")
    return names


_ParentName = Annotated[str, Field(pattern=NAME_PATTERN, description="the name of a job or of a group")]
AlertParents = Annotated[
    tuple[_ParentName, ...],
    BeforeValidator(_as_list, json_schema_input_type=_ParentName | tuple[_ParentName, ...]),
    Field(max_length=10),
    AfterValidator(_each_once),
]


def find_parent_circle(name: str, parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the shortest way from a subject over its parents back to it; empty without a circle."""
    ways: list[tuple[str, ...]] = [(name,)]
    visited: set[str] = set()
    for way in ways:
        for parent in parents.get(way[-1], ()):
            if parent == name:
                return way
            if parent not in visited:
                visited.add(parent)
                ways.append((*way, parent))
    return ()
