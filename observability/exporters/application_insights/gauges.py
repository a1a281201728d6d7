"""The gauges of Application Insights. Used by observability.exporters.application_insights.delivery."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from observability import names

if TYPE_CHECKING:
    from opentelemetry.metrics import Observation

Tags = tuple[tuple[str, str], ...]


class GaugeValues:
    """Sends each value once: the SDK's plain gauge would repeat the last one without end, also without ticks or when
    another instance ticks. `meter`: of OpenTelemetry.
    """

    def __init__(self, meter: Any) -> None:
        self._meter = meter
        self._values: dict[names.Metric, dict[Tags, float]] = {}

    def set(self, metric: names.Metric, tags: Mapping[str, str], value: float) -> None:
        """Send this value with the next export."""
        if metric not in self._values:
            self._values[metric] = {}
            callbacks = [partial(self._observe, metric)]
            self._meter.create_observable_gauge(metric.name, callbacks, metric.unit, metric.description)
        self._values[metric][tuple(tags.items())] = value

    def _observe(self, metric: names.Metric, options: object) -> list[Observation]:
        from opentelemetry.metrics import Observation

        values, self._values[metric] = self._values[metric], {}
        return [Observation(value, dict(tags)) for tags, value in values.items()]
