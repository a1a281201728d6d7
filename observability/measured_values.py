"""Measurements of the program itself, as events for exporters. Made by observability.program.meter and telemetry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from observability import names


@dataclass(frozen=True, slots=True)
class Measurement:
    """`values`: of a distribution each value, of a count the sum since the last event, of a gauge the newest value."""

    metric: names.Metric
    values: tuple[float, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measurements:
    """Those of runs are not among them: they follow from the reports of the runs."""

    measured: tuple[Measurement, ...]
