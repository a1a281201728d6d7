"""An OTLP collector over HTTP on loopback, which accepts the three signals in Protocol Buffers.

    async with OtlpCollector() as collector:                # (headers={"x-key": "..."}) requires these
        collector.url                                       # the endpoint, without /v1/traces
        collector.spans, collector.records, collector.metrics   # accepted items, in order
        collector.sum_of("scheduler.job.runs")              # as a backend adds a metric up
        collector.reject_items(2, "too old")                # partial success of the next request

It refuses what a collector refuses: a missing header 401, another media type 415, an undecodable body 400.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

from tests.parts.http_server import Answer, Request
from tests.parts.service import Service

_PROTOBUF = "application/x-protobuf"


class OtlpCollector(Service):
    """Keeps every span, log record and data point that it accepts; a point as (resource, metric, point)."""

    def __init__(self, headers: Mapping[str, str] | None = None, *, largest: int = 5_000_000) -> None:
        """`largest`: bytes of a body as sent; a larger one is refused with 413."""
        super().__init__()
        self._requests, self._responses = _messages(), _responses()
        self.required = dict(headers or {})
        self.largest = largest
        self.spans: list[Any] = []
        self.records: list[Any] = []
        self.metrics: list[Any] = []
        self.resources: list[Any] = []
        self._rejected: tuple[int, str] | None = None

    def reject_items(self, count: int, message: str) -> None:
        self._rejected = (count, message)

    def handle(self, request: Request) -> Answer:
        signal = request.path.rpartition("/v1/")[2]
        if request.method != "POST" or signal not in ("traces", "metrics", "logs"):
            return Answer(404)
        if any(request.headers.get(name) != value for name, value in self.required.items()):
            return Answer(401)
        if request.headers.get("content-type") != _PROTOBUF:
            return Answer(415)
        if len(request.body) > self.largest:
            return Answer(413)
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        return self._accept(signal, body)

    def _accept(self, signal: str, body: bytes) -> Answer:
        try:
            message = self._requests[signal].FromString(body)
        except Exception:  # a DecodeError
            return Answer(400)
        stored, lists = self._lists(signal, message)
        items = [item for found in lists for item in found]
        rejected, reason = self._rejected or (0, "")
        self._rejected = None
        stored += items[rejected:]
        partial = {f"rejected_{_NOUNS[signal]}": rejected, "error_message": reason}
        answer = self._responses[signal](partial_success=partial) if rejected else self._responses[signal]()
        return Answer(200, {"Content-Type": _PROTOBUF}, answer.SerializeToString())

    def _lists(self, signal: str, message: Any) -> tuple[list[Any], list[Any]]:
        if signal == "traces":
            self.resources += [each.resource for each in message.resource_spans]
            return self.spans, [scope.spans for each in message.resource_spans for scope in each.scope_spans]
        if signal == "logs":
            self.resources += [each.resource for each in message.resource_logs]
            return self.records, [scope.log_records for each in message.resource_logs for scope in each.scope_logs]
        self.resources += [each.resource for each in message.resource_metrics]
        points = [
            (each.resource, metric, point)
            for each in message.resource_metrics
            for scope in each.scope_metrics
            for metric in scope.metrics
            for point in getattr(metric, metric.WhichOneof("data")).data_points
        ]
        return self.metrics, [points]

    def sum_of(self, name: str, **tags: str) -> float:
        """Sum a metric over its series, as a backend does: cumulative series by their newest point, delta by all.

        Of a histogram the number of its values.
        """
        newest: dict[tuple[Any, ...], float] = {}
        total = 0.0
        for resource, metric, point in self.metrics:
            attributes = read_attributes(point.attributes)
            if metric.name != name or not tags.items() <= attributes.items():
                continue
            kind = metric.WhichOneof("data")
            value = point.count if "histogram" in kind else point.as_int or point.as_double
            if kind != "gauge" and getattr(metric, kind).aggregation_temporality == _DELTA:
                total += value
            else:
                process = read_attributes(resource.attributes)["service.instance.id"]
                newest[process, point.start_time_unix_nano, *sorted(attributes.items())] = value
        return total + sum(newest.values())


_DELTA = 1
_NOUNS = {"traces": "spans", "metrics": "data_points", "logs": "log_records"}


def read_attributes(attributes: Any) -> dict[str, Any]:
    """Return attributes of OTLP as a dictionary."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _messages() -> dict[str, Any]:
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    return {
        "traces": trace_service_pb2.ExportTraceServiceRequest,
        "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
        "logs": logs_service_pb2.ExportLogsServiceRequest,
    }


def _responses() -> dict[str, Any]:
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    return {
        "traces": trace_service_pb2.ExportTraceServiceResponse,
        "metrics": metrics_service_pb2.ExportMetricsServiceResponse,
        "logs": logs_service_pb2.ExportLogsServiceResponse,
    }
