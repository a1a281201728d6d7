"""A name, a metric and a series, as the catalogue of names defines them. Used by all modules of observability.names."""

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


@dataclass(frozen=True, slots=True)
class MetricSeries(Name):
    """A series of `GET /api/metrics`. `name`: as queries use it: that of a counter ends with `_total`, of an info with
    `_info`.

    `unit`: the base unit, with which the name ends as well: `seconds` or `ratio`; or empty. `labels`: all of them, but
    for those that the settings add to an info.
    """

    kind: Literal["gauge", "counter", "histogram", "info"] = "gauge"
    labels: tuple[str, ...] = ()
