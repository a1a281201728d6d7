"""OpenTelemetry's SDK for OTLP: providers of this exporter alone, which nothing global knows. Used by otlp.delivery.

The distro of Azure Monitor configures the providers of the process; these are others, so that both exporters run at the
same time. Nothing here sends: the delivery takes what was collected and encodes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, MetricsData
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from observability import names

HistogramForm = Literal["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]

_MILLISECOND_BOUNDS: Final = (
    *(5, 10, 25, 50, 75, 100, 250, 500, 750),
    *(1000, 2500, 5000, 7500, 10_000, 15_000, 30_000, 60_000),
)
_COUNT_BOUNDS: Final = (1, 2, 3, 4, 5, 10)


class CollectedSpans(SpanExporter):
    """The finished spans since the last `drain`."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._spans += spans
        return SpanExportResult.SUCCESS

    def drain(self) -> list[ReadableSpan]:
        spans, self._spans = self._spans, []
        return spans


class CollectedRecords(LogRecordExporter):
    """The log records since the last `drain`."""

    def __init__(self) -> None:
        self._records: list[ReadableLogRecord] = []

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        self._records += batch
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def shutdown(self) -> None:
        pass

    def drain(self) -> list[ReadableLogRecord]:
        records, self._records = self._records, []
        return records


class OtlpSdk:
    """The providers with their collectors. `attributes`: of the resource, before those of OTEL_RESOURCE_ATTRIBUTES."""

    def __init__(self, attributes: Mapping[str, str], *, is_delta: bool, histograms: HistogramForm) -> None:
        self._resource = OTELResourceDetector().detect().merge(Resource(dict(attributes)))
        self._temporality = AggregationTemporality.DELTA if is_delta else AggregationTemporality.CUMULATIVE
        self._histograms = histograms
        self.spans, self.records = CollectedSpans(), CollectedRecords()
        self.tracers = TracerProvider(sampler=ALWAYS_ON, resource=self._resource, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.loggers = LoggerProvider(resource=self._resource, shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.records))
        self.restart_meters()

    def restart_meters(self) -> None:
        """Begin all metrics anew, so that series which nothing measures any more end."""
        self._reader = InMemoryMetricReader({Counter: self._temporality, Histogram: self._temporality})
        self.meters = MeterProvider(
            [self._reader],
            resource=self._resource,
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
            views=[
                View(instrument_name=metric.name, aggregation=self._make_aggregation(metric))
                for metric in names.METRICS
                if metric.kind == "distribution"
            ],
        )

    def collect_metrics(self) -> MetricsData | None:
        """Return the metrics at this time; None if nothing was measured."""
        return self._reader.get_metrics_data()

    def _make_aggregation(self, metric: names.Metric) -> Aggregation:
        if self._histograms == "base2_exponential_bucket_histogram":
            return ExponentialBucketHistogramAggregation()
        return ExplicitBucketHistogramAggregation(_MILLISECOND_BOUNDS if metric.unit == "ms" else _COUNT_BOUNDS)
