"""Sends to an OTLP backend: a trace of each selected run, the metrics, and the log's lines.

The SDK makes spans, records and metrics, and its encoders the bodies; the spool retains them until the endpoint has
accepted them. The SDK is imported in the exporter's thread, with `otlp_sdk`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from config.outbound import build_outbound
from jobs.checks.outbound import DIRECT, Outbound
from jobs.runs import Attempt, Run
from jobs.trace_ids import span_id_of, trace_id_of
from observability import names
from observability.events import (
    DeadLettered,
    ExportedLine,
    LogLine,
    Measurements,
    ProgramEvent,
    RunRequested,
    TelemetryEvent,
    find_lines,
)
from observability.exporters.background import OTLP, BackgroundExporter, DeliveryCounts, Pace, ShutdownSignal
from observability.exporters.measurements import Instruments, count_run, find_tag_values, measure_run
from observability.exporters.outbox import Outbox
from observability.exporters.spool import Spool
from observability.exporters.spool_folder import SpooledRequest
from observability.exporters.tracing import (
    INSTRUMENTATION_SCOPE,
    Attributes,
    SpanEmitter,
    make_attempt_attributes,
    make_exception_fields,
    make_http_attributes,
    make_log_record,
    make_run_fields,
    measure_phases,
    to_attributes,
    to_nanoseconds,
)
from observability.redaction import redact_fields
from observability.sampling import RunReport, TickPlanned
from observability.service_name import find_cloud_role

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor
    from observability.exporters.otlp_sdk import HistogramForm

_METERS_RESTART_AFTER_S: Final = 86400.0
"""Cumulative series of jobs that were deleted end then."""
_UNKNOWN_METHOD: Final = "_OTHER"
"""The value of OpenTelemetry's conventions; a run does not contain its method."""


@dataclass(frozen=True, slots=True)
class OtlpOptions:
    """`endpoints`: the URL by signal; a signal without one is not made. `headers`: with secrets. Times in seconds."""

    endpoints: Mapping[str, str]
    headers: Mapping[str, str]
    resource: Mapping[str, str]
    version: str
    is_delta: bool = False
    histograms: HistogramForm = "explicit_bucket_histogram"
    is_compressed: bool = True
    ca_file: Path | None = None
    outbound: Outbound = DIRECT
    metric_interval: float = 60.0
    max_age: float = 2 * 86400.0


class OtlpDelivery:
    """Blocking; see background.Delivery."""

    def __init__(self, options: OtlpOptions, spool: Spool, redactor: Redactor) -> None:
        self._options = options
        self._spool = spool
        self._redactor = redactor
        self._has_measured = False
        self._metrics_due_at = 0.0

    def open(self, counts: DeliveryCounts, closing: ShutdownSignal, pace: Pace) -> None:
        self._pace = pace
        # What `deliver` uses is imported here too, as exporters open one after the other.
        import opentelemetry._logs.severity
        import opentelemetry.context
        import opentelemetry.trace  # noqa: F401 - used by name in the functions below

        from observability.exporters import otlp_sdk

        options = self._options
        self._bodies: Any = otlp_sdk
        self._client = client = otlp_sdk.OtlpClient(options.headers, options.ca_file, options.version, options.outbound)
        intakes = {signal: otlp_sdk.OtlpIntake(signal, url, client) for signal, url in options.endpoints.items()}
        self._outbox = Outbox(intakes, self._spool, counts, closing)
        self._sdk = otlp_sdk.OtlpSdk(options.resource, is_delta=options.is_delta, histograms=options.histograms)
        self._spans = SpanEmitter(self._sdk.tracers, options.version, self._redactor, make_attempt_span)
        self._logger = self._sdk.loggers.get_logger(INSTRUMENTATION_SCOPE, options.version)
        self._bind_instruments()

    def deliver(self, events: list[TelemetryEvent]) -> None:
        self._emit_events(events)
        self._retain("traces", self._bodies.encode_span_bodies(self._sdk.spans.drain(), self._pace))
        self._retain("logs", self._bodies.encode_log_bodies(self._sdk.records.drain(), self._pace))
        if self._metrics_due_in() == 0:
            self._retain_metrics()
        self._outbox.send_due()

    def next_delivery_in(self) -> float | None:
        waits = [wait for wait in (self._metrics_due_in(), self._outbox.next_send_in()) if wait is not None]
        return min(waits, default=None)

    def close(self) -> None:
        if self._has_measured:
            self._retain_metrics()
        self._outbox.send_due()
        self._outbox.close()
        self._client.close()

    def _bind_instruments(self) -> None:
        meter = self._sdk.meters.get_meter(INSTRUMENTATION_SCOPE, self._options.version)
        self._instruments = Instruments(meter)
        self._meters_end_at = time.monotonic() + _METERS_RESTART_AFTER_S

    def _metrics_due_in(self) -> float | None:
        return max(0.0, self._metrics_due_at - time.monotonic()) if self._has_measured else None

    def _emit_events(self, events: list[TelemetryEvent]) -> None:
        endpoints = self._options.endpoints
        for event in self._pace.spread(events):
            if "traces" in endpoints:
                self._emit_spans(event)
            if "metrics" in endpoints:
                self._measure(event)
        if "logs" in endpoints:
            for line in self._pace.spread(find_lines(events, time.time())):
                self._emit_record(line)
            for event in events:
                if isinstance(event, ProgramEvent):
                    self._emit_record(ExportedLine(event.at, event))

    def _emit_spans(self, event: TelemetryEvent) -> None:
        if isinstance(event, RunReport) and event.spans:
            fields = make_run_fields(event.run, self._redactor)
            if event.invocation is not None and event.invocation.id:
                fields[names.INVOCATION_ID] = event.invocation.id
            self._spans.emit_run(event.run, fields, event.invocation)
        elif isinstance(event, RunRequested | TickPlanned):
            self._spans.emit_event(event)

    def _measure(self, event: TelemetryEvent) -> None:
        if isinstance(event, RunReport) and event.metrics != "none":
            for metric, value in (*count_run(event.run), *measure_run(event.run)):
                self._instruments.record(metric, value, find_tag_values(metric, event.run, event.metrics))
        elif isinstance(event, DeadLettered):
            self._instruments.record(names.DEAD_LETTERS, 1, {names.TAG_JOB: event.ticket.job})
        elif isinstance(event, Measurements):
            for measured in event.measured:
                self._instruments.record_measurement(measured)
        else:
            return
        if not self._has_measured:
            self._has_measured = True
            self._metrics_due_at = time.monotonic() + self._options.metric_interval

    def _retain_metrics(self) -> None:
        """Retain the metrics of this time. Cumulative ones are repeated each interval, as backends expect it."""
        self._metrics_due_at = time.monotonic() + self._options.metric_interval
        self._has_measured = not self._options.is_delta
        if (data := self._sdk.collect_metrics()) is not None:
            self._retain("metrics", self._bodies.encode_metric_bodies(data, self._pace))
        if time.monotonic() >= self._meters_end_at:
            self._sdk.restart_meters()
            self._bind_instruments()
            self._has_measured = False

    def _retain(self, signal: str, bodies: Iterable[tuple[bytes, int]]) -> None:
        made_at = time.time()
        for body, items in bodies:
            sent = self._bodies.compress(body) if self._options.is_compressed else body
            self._outbox.put(SpooledRequest(signal, sent, items, made_at, made_at + self._options.max_age))

    def _emit_record(self, line: ExportedLine) -> None:
        event = line.event
        exception = make_exception_fields(event) if isinstance(event, LogLine) else {}
        fields = redact_fields({names.MESSAGE: str(event), **event.fields(), **exception}, self._redactor)
        message = str(fields.pop(names.MESSAGE))
        at, context = to_nanoseconds(line.at), _make_run_context(line.run_id)
        record = make_log_record(
            to_attributes(fields), message, at, event.level, context, name=event.name, has_text=True
        )
        self._logger.emit(record)


def make_attempt_span(run: Run, attempt: Attempt, endpoint: str) -> Attributes:
    """The attributes of an attempt's span."""
    return {
        **measure_phases(attempt.phases),
        **make_attempt_attributes(run, attempt),
        **make_http_attributes(endpoint, attempt.status, method=_UNKNOWN_METHOD),
    }


def _make_run_context(run_id: str) -> Any:
    """Return the context of the run's span, so that its log lines join its trace."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if not run_id:
        return Context()
    ids = SpanContext(trace_id_of(run_id), span_id_of(run_id), False, TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(ids), Context())


_GATHER_SECONDS = 5.0
_URGENT_QUEUE_SIZE = 1_000


def build_otlp_exporter(
    settings: Settings, redactor: Redactor, spool: Spool | None = None, *, gather_seconds: float = _GATHER_SECONDS
) -> BackgroundExporter:
    """`spool`: None retains requests in memory. `gather_seconds`: seconds between deliveries."""
    otlp, version = settings.otlp, settings.version or "unknown"
    options = OtlpOptions(
        endpoints=otlp.endpoints(),
        headers=otlp.header_values(),
        resource={
            "service.name": find_cloud_role(settings, os.environ),
            "service.version": version,
            # Two processes must not write to one cumulative series.
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            "deployment.environment.name": settings.environment,
        },
        version=version,
        is_delta=otlp.temporality != "cumulative",
        histograms=otlp.histograms,
        is_compressed=otlp.compression == "gzip",
        ca_file=otlp.ca_file,
        outbound=build_outbound(settings),
        metric_interval=otlp.interval,
        max_age=settings.telemetry.spool.max_age,
    )
    delivery = OtlpDelivery(options, spool or Spool(), redactor)
    return BackgroundExporter(OTLP, delivery, redactor, gather_seconds=gather_seconds, urgent_size=_URGENT_QUEUE_SIZE)
