"""Sends to Application Insights by OpenTelemetry and Azure Monitor's distro: for each run a custom event, an
availability row, metrics and a trace; for the program its warnings.

The SDK is imported and configured in the exporter's thread.
Telemetry is dropped only in our queue: each batch is flushed before the next one, so the SDK's queues never fill; the
SDK stores rejected batches on disk and repeats them.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

from jobs.runs.events import AttemptRetried
from observability import names
from observability.events import DeadLettered, LogLine, Measurements, ProgramEvent, RunRequested, TelemetryEvent
from observability.exporters.application_insights import rows
from observability.exporters.application_insights.envelopes import SAMPLE_RATE, compute_sample_rate
from observability.exporters.application_insights.metric_window import MetricWindow
from observability.exporters.application_insights.sdk_setup import (
    SDK_REQUEST_TIMEOUT_S,
    configure_sdk,
    describe_resource,
    is_configured_by_host,
)
from observability.exporters.application_insights.transmission import can_take_over, open_outbox
from observability.exporters.background import DeliveryCounts, ShutdownSignal
from observability.exporters.instruments import Instruments
from observability.exporters.measurements import count_run, find_tag_values, is_split_by_job, measure_run
from observability.exporters.pacing import Pace
from observability.exporters.spool.outbox import Outbox
from observability.exporters.spool.spool import Spool
from observability.exporters.tracing.attributes import (
    Attributes,
    make_exception_fields,
    make_run_fields,
    to_attributes,
    to_nanoseconds,
)
from observability.exporters.tracing.run_ids import INSTRUMENTATION_SCOPE
from observability.exporters.tracing.spans import SpanEmitter
from observability.redaction import redact_fields
from observability.sampling import RunReport, TickPlanned

if TYPE_CHECKING:
    from jobs.redaction import Redactor

_MAX_UNFLUSHED_ITEMS = 400
"""Records and spans that are flushed together; the SDK's own threads would begin at 512."""


class ApplicationInsightsDelivery:
    """Blocking; see background.Delivery."""

    def __init__(
        self,
        connection_string: str,
        *,
        environment: str,
        version: str,
        role: str,
        redactor: Redactor,
        spool: Spool,
        max_age: float,
        window: MetricWindow | None = None,
    ) -> None:
        """`max_age`: seconds after which a request that waits is dropped."""
        self._connection_string = connection_string
        self._environment = environment
        self._version = version
        self._role = role
        self._redactor = redactor
        self._location = os.environ.get("REGION_NAME") or environment
        self._spool = spool
        self._max_age = max_age
        self._outbox: Outbox | None = None
        self._pending = 0
        self._window = window or MetricWindow()

    def open(self, counts: DeliveryCounts, closing: ShutdownSignal, pace: Pace) -> None:
        self._delivery_counts = counts
        self._closing = closing
        self._pace = pace
        self._owns_sdk = not is_configured_by_host()
        if self._owns_sdk:
            self._open_sdk(counts, closing)
        self._bind_instruments()

    def _open_sdk(self, counts: DeliveryCounts, closing: ShutdownSignal) -> None:
        stored_by_sdk = not can_take_over()
        resource = describe_resource(self._role, self._version, self._environment)
        exporters = configure_sdk(
            self._connection_string, resource, counts, closing, self._pace, stores_requests=stored_by_sdk
        )
        if not stored_by_sdk:
            self._outbox = open_outbox(exporters, self._spool, self._max_age, counts, closing, self._pace)

    def deliver(self, events: list[TelemetryEvent]) -> None:
        for event in self._pace.spread(events):
            self._try_to_emit(event)
            if self._pending >= _MAX_UNFLUSHED_ITEMS:
                self._flush()
        if self._pending:
            self._flush()
        if self._window.ends_in() == 0:
            self._end_window()
            self.export_metrics()
        if self._outbox is not None:
            self._outbox.send_due()

    def export_metrics(self) -> None:
        """Send what the instruments have measured, without waiting for the SDK's next minute."""
        self._meters.force_flush()

    def next_delivery_in(self) -> float | None:
        waits = (self._window.ends_in(), self._outbox.next_send_in() if self._outbox else None)
        return min((wait for wait in waits if wait is not None), default=None)

    def close(self) -> None:
        self._end_window()
        self._meters.force_flush(timeout_millis=self._closing.remaining_seconds(SDK_REQUEST_TIMEOUT_S) * 1000)
        if self._owns_sdk:
            for provider in (self._meters, self._tracers, self._loggers):
                provider.shutdown()
        if self._outbox is not None:
            self._outbox.send_due()
            self._outbox.close()

    def _bind_instruments(self) -> None:
        """Find providers and instruments: ours, or those that the host has configured."""
        from opentelemetry import _logs, metrics, trace

        self._loggers: Any = _logs.get_logger_provider()
        self._tracers: Any = trace.get_tracer_provider()
        self._meters: Any = metrics.get_meter_provider()
        self._logger = self._loggers.get_logger(INSTRUMENTATION_SCOPE, self._version)
        self._spans = SpanEmitter(self._tracers, self._version, self._redactor, rows.make_attempt_span)
        self._instruments = Instruments(self._meters.get_meter(INSTRUMENTATION_SCOPE, self._version))

    def _flush(self) -> None:
        handed_over, self._pending = self._pending, 0
        self._loggers.force_flush()
        self._tracers.force_flush()
        if not self._owns_sdk:  # the host does not report the result
            self._delivery_counts.record_success(handed_over)

    def _try_to_emit(self, event: TelemetryEvent) -> None:
        try:
            self._emit(event)
        except Exception as error:  # one event that the SDK does not take must not cost the rest of its batch
            self._delivery_counts.record_failure(f"{type(error).__name__}: {error}")
            self._delivery_counts.record_drop(1)

    def _emit(self, event: TelemetryEvent) -> None:
        match event:
            case RunReport():
                self._emit_run(event)
            case DeadLettered():
                self._emit_record(rows.make_dead_letter_event(event, self._redactor), str(event), time.time_ns())
                self._instruments.record(names.DEAD_LETTERS, 1, {names.TAG_JOB: event.ticket.job})
            case ProgramEvent():
                record = rows.make_program_event(event, self._redactor)
                self._emit_record(record, str(record[names.MESSAGE]), to_nanoseconds(event.at))
            case RunRequested() | TickPlanned():
                self._spans.emit_event(event)
                self._pending += 1
            case Measurements():
                for each in event.measured:
                    self._instruments.record_measurement(each)
            case LogLine() if self._owns_sdk:
                self._emit_line(event)
            case LogLine() | AttemptRetried():
                pass  # A host that configured OpenTelemetry collects the log; an attempt is a span of its run.

    def _emit_run(self, report: RunReport) -> None:
        if report.events or report.availability or report.spans:
            self._emit_rows(report)
        if report.metrics == "none":
            return
        run, detail = report.run, report.metrics
        for metric, value in (*count_run(run), *measure_run(run)):
            tags = find_tag_values(metric, run, detail)
            # Failures are not delayed.
            if detail == "job" and is_split_by_job(metric, detail) and not run.outcome.down:
                self._window.add(metric, value, tags)
            else:
                self._instruments.record(metric, value, tags)

    def _emit_rows(self, report: RunReport) -> None:
        run = report.run
        fields = make_run_fields(run, self._redactor)
        if report.invocation is not None and report.invocation.id:
            fields[names.INVOCATION_ID] = report.invocation.id
        context = None
        if report.spans:
            context = self._spans.emit_run(run, fields, report.invocation)
            self._pending += 1 + len(run.attempts)
        at = to_nanoseconds(run.finished_at)
        if report.events:
            self._emit_record(
                {**rows.make_run_event(fields), **_sample_rate_attribute(report.events)}, run.outcome, at, context
            )
        row = rows.make_availability_row(run, fields, self._location) if report.availability else None
        if row is not None:
            self._emit_record({**row, **_sample_rate_attribute(report.availability)}, run.outcome, at, context)

    def _end_window(self) -> None:
        for metric, value, tags in self._pace.spread(self._window.drain()):
            self._instruments.record(metric, value, tags)

    def _emit_line(self, line: LogLine) -> None:
        named = {names.EVENT: line.name} if line.name else {}
        fields = {names.MESSAGE: line.message, **named, **line.fields(), **make_exception_fields(line)}
        clean = redact_fields(fields, self._redactor)
        message = str(clean.pop(names.MESSAGE))
        self._emit_record(to_attributes(clean), message, to_nanoseconds(line.at), level=line.level)

    def _emit_record(
        self, attributes: Attributes, body: str, at: int, context: Any = None, level: int = logging.INFO
    ) -> None:
        from opentelemetry._logs import LogRecord
        from opentelemetry._logs.severity import SeverityNumber
        from opentelemetry.context import Context

        # Python's levels 10 to 50 are OpenTelemetry's 5, 9, 13, 17 and 21.
        severity = SeverityNumber(min(21, max(5, level // 10 * 4 + 1)))
        self._logger.emit(
            LogRecord(
                timestamp=at,
                context=context or Context(),
                severity_number=severity,
                body=str(body),
                attributes=attributes,
            )
        )
        self._pending += 1


def _sample_rate_attribute(runs: int) -> Attributes:
    return {SAMPLE_RATE: compute_sample_rate(runs)} if runs > 1 else {}
