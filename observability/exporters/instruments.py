"""The metrics as instruments of OpenTelemetry. Used by the exporters that aggregate with its SDK."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from observability import names
from observability.events import Measurement

if TYPE_CHECKING:
    from opentelemetry.metrics import Observation

_Tags = tuple[tuple[str, str], ...]


class Instruments:
    """`meter`: OpenTelemetry's meter, whose provider collects the values."""

    def __init__(self, meter: Any) -> None:
        self._gauges = GaugeValues(meter)
        self._counts = {
            metric: meter.create_counter(metric.name, metric.unit, metric.description)
            for metric in names.METRICS
            if metric.kind == "count"
        }
        self._histograms = {
            metric: meter.create_histogram(metric.name, metric.unit, metric.description)
            for metric in names.METRICS
            if metric.kind == "distribution"
        }

    def record(self, metric: names.Metric, value: float, tags: dict[str, str]) -> None:
        """Add to a count, or to a distribution."""
        if metric.kind == "count":
            self._counts[metric].add(int(value), tags)
        else:
            self._histograms[metric].record(value, tags)

    def record_measurement(self, measured: Measurement) -> None:
        """Add what the program has measured about itself, and set its gauges."""
        metric, tags = measured.metric, dict(measured.tags)
        if metric.kind == "gauge":
            self._gauges.set(metric, tags, measured.values[-1])
            return
        for value in measured.values:
            self.record(metric, value, tags)


class GaugeValues:
    """Sends each value once: the SDK's plain gauge would repeat the last one without end, also without ticks or when
    another instance ticks. `meter`: of OpenTelemetry.
    """

    def __init__(self, meter: Any) -> None:
        self._meter = meter
        self._values: dict[names.Metric, dict[_Tags, float]] = {}

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
