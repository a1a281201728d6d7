"""A name and a metric, as the catalogue of names defines them. Used by all modules of observability.names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Name:
    """A name and its meaning. `unit`: `ms`, `s`, or empty."""

    name: str
    description: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class EventName(Name):
    """A log event. `levels`: as the page of operators has them."""

    levels: str = ""


@dataclass(frozen=True, slots=True)
class FieldName(Name):
    """A field. `on`: the events and spans that have it, as the page of operators has them."""

    on: str = ""


@dataclass(frozen=True, slots=True)
class Metric(Name):
    """A `count` is summed, a `distribution` keeps its spread, a `gauge` has its newest value.

    `tags` are all dimensions, so its size is bounded.
    """

    kind: Literal["count", "distribution", "gauge"] = "count"
    tags: tuple[str, ...] = ()
