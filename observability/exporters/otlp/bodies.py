"""The bodies of OTLP requests: encoded, bounded and split. Used by otlp.delivery and otlp.client."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

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
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from observability.exporters.pacing import Pace

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
