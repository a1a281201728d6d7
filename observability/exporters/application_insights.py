"""Sends to Application Insights by OpenTelemetry and Azure Monitor's distro: for each run a custom event, an
availability row, metrics and a trace; for the program its warnings.

The SDK is imported and configured in the exporter's thread.
Telemetry is dropped only in our queue: each batch is flushed before the next one, so the SDK's queues never fill; the
SDK stores rejected batches on disk and repeats them.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from config.outbound import build_outbound
from jobs.checks.outbound import DIRECT, Outbound
from jobs.runs import Attempt, Run
from jobs.runs.events import AttemptRetried
from observability import names
from observability.events import DeadLettered, Fields, LogLine, Measurements, ProgramEvent, RunRequested, TelemetryEvent
from observability.exporters.application_insights_sdk import (
    SAMPLE_RATE,
    SDK_REQUEST_TIMEOUT_S,
    can_take_over,
    compute_sample_rate,
    configure_sdk,
    describe_resource,
    is_configured_by_host,
    open_outbox,
)
from observability.exporters.background import (
    APPLICATION_INSIGHTS,
    BackgroundExporter,
    DeliveryCounts,
    Pace,
    ShutdownSignal,
)
from observability.exporters.measurements import (
    Instruments,
    MetricWindow,
    count_run,
    find_tag_values,
    is_split_by_job,
    measure_run,
)
from observability.exporters.outbox import Outbox
from observability.exporters.spool import Spool
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

# Azure Monitor's exporter turns log records and spans with these attributes into separate rows.
_CUSTOM_EVENT = "microsoft.custom_event.name"
_MEASUREMENTS = "microsoft.custom_measurements"
_AVAILABILITY = "microsoft.availability."

_MEASUREMENT_FIELDS = (names.DURATION, names.RESPONSE_TIME, names.LATENESS, names.ATTEMPTS)


def make_run_event(fields: Fields) -> Attributes:
    """The custom event of a run: numbers as measurements, the rest as properties."""
    properties = {key: value for key, value in fields.items() if key not in _MEASUREMENT_FIELDS}
    numbers = {key: fields[key] for key in _MEASUREMENT_FIELDS if fields[key] is not None}
    return {_CUSTOM_EVENT: names.RUN_EVENT.name, _MEASUREMENTS: json.dumps(numbers), **to_attributes(properties)}


def make_dead_letter_event(event: DeadLettered, redactor: Redactor) -> Attributes:
    """The custom event of a run that is given up."""
    fields = redact_fields(event.fields(), redactor)
    return {_CUSTOM_EVENT: names.DEAD_LETTER_EVENT.name, **to_attributes(fields)}


def make_program_event(event: ProgramEvent, redactor: Redactor) -> Attributes:
    """The custom event of a change of incidents, jobs or the program."""
    fields = redact_fields({names.MESSAGE: str(event), **event.fields()}, redactor)
    return {_CUSTOM_EVENT: event.name, **to_attributes(fields)}


def make_availability_row(run: Run, fields: Fields, location: str) -> Attributes | None:
    """Return the availability row; None for a run without a current check: skipped, cancelled, or a backfill."""
    if not run.counts_for_availability:
        return None
    of_run = (names.JOB_NAME, names.RUN_ID, names.TRIGGER, names.OUTCOME, names.DEGRADED)
    shown = (*of_run, names.STATUS_CODE, names.ENDPOINT)
    return {
        f"{_AVAILABILITY}id": run.id,
        f"{_AVAILABILITY}name": run.job,
        f"{_AVAILABILITY}duration": _format_time_span(run.duration_ms),
        f"{_AVAILABILITY}success": not run.outcome.down,
        f"{_AVAILABILITY}runLocation": location,
        f"{_AVAILABILITY}message": str(fields[names.ERROR_MESSAGE] or run.outcome),
        **to_attributes({key: fields[key] for key in shown}),
    }


def make_attempt_span(run: Run, attempt: Attempt, endpoint: str) -> Attributes:
    """The attributes of an attempt's span; those of HTTP make it a dependency with a target and a result code."""
    return {
        _MEASUREMENTS: json.dumps(measure_phases(attempt.phases)),
        **make_attempt_attributes(run, attempt),
        # The exporter names the dependency `<method> <path>`; a run does not contain its method.
        **make_http_attributes(endpoint, attempt.status, method="HTTP"),
    }


def _format_time_span(milliseconds: float) -> str:
    """As .NET writes it, which Application Insights reads: `0.00:00:01.500`."""
    seconds, rest = divmod(round(milliseconds), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}.{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"


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
        outbound: Outbound = DIRECT,
    ) -> None:
        """`max_age`: seconds after which a request that waits is dropped."""
        self._connection_string = connection_string
        self._outbound = outbound
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
            self._connection_string,
            resource,
            counts,
            closing,
            self._pace,
            stores_requests=stored_by_sdk,
            outbound=self._outbound,
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
        self._spans = SpanEmitter(self._tracers, self._version, self._redactor, make_attempt_span)
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
                self._emit_record(make_dead_letter_event(event, self._redactor), str(event), time.time_ns())
                self._instruments.record(names.DEAD_LETTERS, 1, {names.TAG_JOB: event.ticket.job})
            case ProgramEvent():
                record = make_program_event(event, self._redactor)
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
                {**make_run_event(fields), **_sample_rate_attribute(report.events)}, run.outcome, at, context
            )
        row = make_availability_row(run, fields, self._location) if report.availability else None
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
        self._logger.emit(make_log_record(attributes, str(body), at, level, context))
        self._pending += 1


def _sample_rate_attribute(runs: int) -> Attributes:
    return {SAMPLE_RATE: compute_sample_rate(runs)} if runs > 1 else {}


_GATHER_SECONDS = 5.0


_URGENT_QUEUE_SIZE = 500


def build_application_insights_exporter(
    settings: Settings,
    connection_string: str,
    redactor: Redactor,
    spool: Spool | None = None,
    *,
    gather_seconds: float = _GATHER_SECONDS,
) -> BackgroundExporter:
    """`spool`: None retains requests in memory. `gather_seconds`: seconds between deliveries."""
    delivery = ApplicationInsightsDelivery(
        connection_string,
        environment=settings.environment,
        version=settings.version or "unknown",
        role=find_cloud_role(settings, os.environ),
        redactor=redactor,
        spool=spool or Spool(),
        max_age=settings.telemetry.spool.max_age,
        outbound=build_outbound(settings),
    )
    return BackgroundExporter(
        APPLICATION_INSIGHTS, delivery, redactor, gather_seconds=gather_seconds, urgent_size=_URGENT_QUEUE_SIZE
    )
