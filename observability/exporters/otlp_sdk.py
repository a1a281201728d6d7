"""OpenTelemetry's SDK for OTLP, the bodies of its requests, and the client that sends them.

The distro of Azure Monitor configures the providers of the process; these are of this exporter alone, and nothing
global knows them, so both exporters run at the same time. The SDK sends nothing: the delivery takes what was collected,
encodes it, and bounds and splits the bodies. Statuses and answers of OTLP over HTTP:
https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import httpx
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
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

from config.outbound import open_http_client
from jobs.checks.outbound import DIRECT, Outbound
from jobs.model_base import escape_control_characters
from jobs.responses import BlockingClient, ReceivedResponse
from observability import names
from observability.exporters.background import Pace
from observability.exporters.outbox import HttpIntake, SendResult
from observability.exporters.spool_folder import SpooledRequest

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


T = TypeVar("T")

MAX_ITEMS: Final = 1_000
"""Spans, records or points of one request."""
_SLICE_ITEMS: Final = 20
"""Items that are encoded without a pause."""
_GZIP_MAGIC: Final = b"\x1f\x8b"

_REQUESTS: Final[dict[str, Any]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
_RESPONSES: Final[dict[str, Any]] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}
_LISTS: Final = {
    "traces": ("resource_spans", "scope_spans"),
    "metrics": ("resource_metrics", "scope_metrics"),
    "logs": ("resource_logs", "scope_logs"),
}
_REJECTED: Final = {
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
    "logs": "rejected_log_records",
}


def encode_span_bodies(spans: Sequence[ReadableSpan], pace: Pace) -> Iterator[tuple[bytes, int]]:
    """Yield bodies with their number of spans."""
    return _join_slices(((encode_spans(slice_), len(slice_)) for slice_ in _cut(spans)), pace)


def encode_log_bodies(records: Sequence[ReadableLogRecord], pace: Pace) -> Iterator[tuple[bytes, int]]:
    """Yield bodies with their number of records."""
    return _join_slices(((encode_logs(slice_), len(slice_)) for slice_ in _cut(records)), pace)


def encode_metric_bodies(data: MetricsData, pace: Pace) -> Iterator[tuple[bytes, int]]:
    """Yield bodies with their number of data points."""
    return _join_slices(((encode_metrics(slice_), points) for slice_, points in _cut_metrics(data)), pace)


def _cut(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _SLICE_ITEMS] for start in range(0, len(items), _SLICE_ITEMS))


def _cut_metrics(data: MetricsData) -> Iterator[tuple[MetricsData, int]]:
    """Yield parts with one metric each, and their number of data points."""
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data_of_metric: Any = metric.data  # four types with the same field
                for points in _cut(data_of_metric.data_points):
                    part = replace(metric, data=replace(data_of_metric, data_points=points))
                    scopes = [replace(scope, metrics=[part])]
                    yield MetricsData([replace(resource, scope_metrics=scopes)]), len(points)


def _join_slices(slices: Iterable[tuple[Any, int]], pace: Pace) -> Iterator[tuple[bytes, int]]:
    """Yield bodies of at most `MAX_ITEMS` items.

    Encoded messages that follow each other are one message with the resources of all of them:
    https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    body, items = bytearray(), 0
    for message, count in pace.spread(slices):
        if items + count > MAX_ITEMS:
            yield bytes(body), items
            body, items = bytearray(), 0
        body += message.SerializeToString()
        items += count
    if items:
        yield bytes(body), items


def compress(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)


def is_compressed(body: bytes) -> bool:
    """A message of Protocol Buffers never begins like that."""
    return body.startswith(_GZIP_MAGIC)


def split_body(signal: str, body: bytes) -> list[tuple[bytes, int]]:
    """Return two halves with their numbers of items; empty for a single item."""
    message = _REQUESTS[signal].FromString(gzip.decompress(body) if is_compressed(body) else body)
    items = _count_items(signal, message)
    if items < 2:
        return []
    halves = []
    for first, last in ((0, items // 2), (items // 2, items)):
        half = _select_items(signal, message, first, last).SerializeToString()
        halves.append((compress(half) if is_compressed(body) else half, last - first))
    return halves


def read_partial_success(signal: str, body: bytes) -> tuple[int, str]:
    """Return the number of rejected items and the message about them. A body of another form has neither."""
    try:
        outcome = _RESPONSES[signal].FromString(body).partial_success
    except Exception:  # DecodeError, in the class of the implementation in use
        return 0, ""
    return max(0, int(getattr(outcome, _REJECTED[signal]))), str(outcome.error_message)


def _item_lists(signal: str, message: Any) -> Iterator[Any]:
    """Yield the repeated fields that hold spans, records or data points."""
    resources, scopes = _LISTS[signal]
    for resource in getattr(message, resources):
        for scope in getattr(resource, scopes):
            if signal == "traces":
                yield scope.spans
            elif signal == "logs":
                yield scope.log_records
            else:
                yield from (getattr(metric, metric.WhichOneof("data")).data_points for metric in scope.metrics)


def _count_items(signal: str, message: Any) -> int:
    return sum(len(items) for items in _item_lists(signal, message))


def _select_items(signal: str, message: Any, first: int, last: int) -> Any:
    """Return a copy with the items from `first` until before `last`."""
    selected = type(message)()
    selected.CopyFrom(message)
    position = 0
    for items in _item_lists(signal, selected):
        count = len(items)
        selection = list(items)[max(0, first - position) : max(0, last - position)]
        del items[:]
        items.extend(selection)
        position += count
    if signal == "metrics":
        _remove_empty_metrics(selected)
    return selected


def _remove_empty_metrics(message: Any) -> None:
    for resource in message.resource_metrics:
        for scope in resource.scope_metrics:
            filled = [metric for metric in scope.metrics if getattr(metric, metric.WhichOneof("data")).data_points]
            del scope.metrics[:]
            scope.metrics.extend(filled)


_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_MESSAGE_LENGTH: Final = 300


class OtlpClient:
    """Connections to the endpoints. `headers` may contain secrets; they are sent with every request."""

    def __init__(
        self, headers: Mapping[str, str], ca_file: Path | None, version: str, outbound: Outbound = DIRECT
    ) -> None:
        """`outbound`: by which way requests leave. Raises OSError or ssl.SSLError if the file cannot be used."""
        self._client = BlockingClient(
            open_http_client(
                outbound,
                True if ca_file is None else ssl.create_default_context(cafile=str(ca_file)),
                headers={"User-Agent": f"scheduler/{version}", **headers, "Content-Type": "application/x-protobuf"},
            )
        )

    def close(self) -> None:
        self._client.close()

    def export(self, url: str, body: bytes, timeout: float) -> ReceivedResponse:
        """Return the response. Raises httpx.HTTPError and TimeoutError."""
        encoding = {"Content-Encoding": "gzip"} if is_compressed(body) else {}
        return self._client.fetch(
            "POST", url, limit=_MAX_ANSWER_BYTES, timeout_s=timeout, headers=encoding, content=body
        )


class OtlpIntake(HttpIntake):
    """One signal. According to the specification, a retry is not allowed after any other status."""

    retried_statuses = frozenset({429, 502, 503, 504})

    def __init__(self, signal: str, url: str, client: OtlpClient) -> None:
        self._signal = signal
        self._url = url
        self._client = client

    def post(self, request: SpooledRequest, timeout: float) -> SendResult:
        try:
            response = self._client.export(self._url, request.body, timeout)
        except (httpx.HTTPError, OSError) as error:
            return SendResult(reason=f"{type(error).__name__}: {error}", is_temporary=True)
        if not response.is_success:
            return self.describe_error(request, response.status, response.headers)
        rejected, message = read_partial_success(self._signal, response.body)
        rejected = min(rejected, request.items)
        reason = f"rejected {rejected} of {request.items} items: {_shorten(message)}" if rejected else ""
        return SendResult(request.items - rejected, rejected, reason)

    def split(self, request: SpooledRequest) -> Sequence[SpooledRequest]:
        return [replace(request, body=body, items=items) for body, items in split_body(self._signal, request.body)]


def _shorten(message: str) -> str:
    return escape_control_characters(message[:_MAX_MESSAGE_LENGTH])
