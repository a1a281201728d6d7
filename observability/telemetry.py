"""Receives the events of runs and writes them to the log and to every exporter that has its setting.

    telemetry = build_telemetry(settings, redactor)
    telemetry.start()
    ...                     # the runner calls run_started, attempt_retried, run_finished
    await telemetry.aclose(timeout=3.0)

The watchdog reports to it once a minute and when a part becomes unhealthy. The log's warnings go to the exporters too.
No method waits or raises: telemetry never delays or fails a run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from jobs.formats import format_instant
from jobs.policies.execution import REPORT_EVERYTHING, Reporting, TelemetryPolicy, resolve_reporting
from jobs.runs import Ticket
from jobs.runs.events import AttemptRetried, RunFinished, RunStarted
from jobs.trace_ids import current_request_id, parse_trace_parent
from observability import names
from observability.events import (
    DeadLettered,
    JobFailed,
    JobPerformance,
    JobRetry,
    JobStarted,
    LogEvent,
    LogLine,
    Measurement,
    Measurements,
    RunRequested,
    TelemetryEvent,
)
from observability.exporters.background import (
    APPLICATION_INSIGHTS,
    DATADOG,
    OTLP,
    Exporter,
    ExporterHealth,
    select_events,
)
from observability.invocations import current_invocation
from observability.logs import OwnHandler
from observability.program_events import Meter, ProgramEvents, ProgramMetrics, ServicePublisher, UnreadMeter
from observability.redaction import ALREADY_REDACTED, RedactionFilter
from observability.sampling import RunReport, Sampler, TickPlan, TickSampler

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor

# Their warnings are about sending telemetry, which must not become telemetry.
_UNFORWARDED_LOGGERS = ("observability", "azure", "opentelemetry", "urllib3", "datadog_api_client")


class _WarningForwarder(OwnHandler):
    """Passes warnings and worse of the whole program on; run events are passed on by themselves, with more in them."""

    def __init__(self, offer: Callable[[TelemetryEvent], None]) -> None:
        super().__init__(logging.WARNING)
        self._forward = offer

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, LogEvent) or record.name.split(".", 1)[0] in _UNFORWARDED_LOGGERS:
            return
        info = record.exc_info
        exc_info = (info[0], info[1], info[2]) if info is not None and info[0] is not None else None
        at = datetime.fromtimestamp(record.created, UTC)
        line = LogLine(
            at,
            record.levelno,
            record.name,
            record.getMessage(),
            values={names.REQUEST_ID: request_id} if (request_id := current_request_id()) else {},
            exc_info=exc_info,
            exc_text=record.exc_text or "",
        )
        self._forward(line)


_log = logging.getLogger("scheduler.runs")

STARTED_AFTER = 1.0
"""Seconds after which a run that has not ended is logged as started. At the level DEBUG each one is, at once."""


class StartedRuns:
    """Runs that started and have not ended, for at most STARTED_AFTER. They share one timer."""

    def __init__(self, announce: Callable[[RunStarted], None]) -> None:
        self._announce = announce
        self._waiting: dict[str, tuple[float, RunStarted]] = {}
        """By run id, oldest first: the time of the loop at which the run is announced."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, event: RunStarted) -> None:
        """Announce the run unless it ends soon; without a running loop at once."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._announce(event)
            return
        at = loop.time() + STARTED_AFTER
        self._waiting[event.ticket.id] = at, event
        if self._timer is None:
            self._timer = loop.call_at(at, self._announce_old, loop)

    def discard(self, run_id: str) -> None:
        """Forget a run that has ended."""
        self._waiting.pop(run_id, None)

    def close(self) -> None:
        """Announce no other run."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _announce_old(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, now = None, loop.time()
        while self._waiting:
            run_id, (at, event) = next(iter(self._waiting.items()))
            if at > now:
                self._timer = loop.call_at(at, self._announce_old, loop)
                return
            del self._waiting[run_id]
            self._announce(event)


class EventRecords:
    """Makes the log records of events, whose texts are redacted already.

    Each is a copy of the first one of its logger and level: `LogRecord` would find out again what is the same in all.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, int], dict[str, Any]] = {}

    def make(self, log: logging.Logger, event: LogEvent) -> logging.LogRecord:
        """Return the record of an event that is logged now."""
        if logging.getLogRecordFactory() is not logging.LogRecord:
            return log.makeRecord(log.name, event.level, __file__, 0, event, (), None)
        first = self._first.get((log.name, event.level))
        if first is None:
            first = vars(log.makeRecord(log.name, event.level, __file__, 0, "", (), None)) | {ALREADY_REDACTED: True}
            if "taskName" in first:  # from Python 3.12 on
                first["taskName"] = None
            self._first[log.name, event.level] = first
        record, created = logging.LogRecord.__new__(logging.LogRecord), time.time()
        fields = record.__dict__
        fields.update(first)
        fields["msg"], fields["created"], fields["msecs"] = event, created, int(created % 1 * 1000) + 0.0
        fields["relativeCreated"] = first["relativeCreated"] + (created - first["created"]) * 1000
        return record


class Telemetry(ServicePublisher):
    """Implements jobs.runs.events.RunListener."""

    def __init__(
        self,
        exporters: Sequence[Exporter],
        *,
        disabled: Sequence[str] = (),
        environment: str = "",
        version: str = "",
        reporting: Reporting = REPORT_EVERYTHING,
        start_level: int = logging.INFO,
        redactor: Redactor | None = None,
    ) -> None:
        """`off`: the names of exporters that have no settings, for `health`. `start_level`: of JOB_STARTED."""
        super().__init__(environment, version)
        self._exporters = tuple(exporters)
        self._disabled = tuple(disabled)
        self._default_reporting = reporting
        self._policy_of: Callable[[str], TelemetryPolicy | None] = _no_policy
        self._sampler = Sampler()
        self._ticks = TickSampler(reporting.spans if self._exporters else "none")
        self._start_level = start_level
        self._started = StartedRuns(self._log_started)
        self._records = EventRecords()
        self._failed_events: dict[str, int] = {}
        self._reported_drops: dict[str, int] = {}
        self._meter = (Meter if self._exporters else UnreadMeter)(self._offer, self._read_drops)
        self.metrics = ProgramMetrics(self._meter, by_circuit=reporting.metrics in ("job", "all"))
        """Receives what the parts of the program measure about themselves."""
        self.events = ProgramEvents(self._publish_program_event, version)
        """Receives changes of incidents, jobs and the program that people look for."""
        self._forwarder = _WarningForwarder(self._offer)
        if redactor is not None:
            self._forwarder.addFilter(RedactionFilter(redactor))

    def start(self) -> None:
        """Begin to deliver, in the background, and to pass the log's warnings on."""
        for exporter in self._exporters:
            exporter.start()
        if self._exporters:
            logging.getLogger().addHandler(self._forwarder)

    def use_policies(self, policy_of: Callable[[str], TelemetryPolicy | None]) -> None:
        """Use this function for the telemetry policy of a job. None: the policy of the settings."""
        self._policy_of = policy_of

    def run_started(self, event: RunStarted) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            self._log_started(event)
        elif _log.isEnabledFor(self._start_level):
            self._started.add(event)

    def attempt_retried(self, event: AttemptRetried) -> None:
        self._log_event(JobRetry(event))
        if self._exporters and self._reporting_of(event.ticket.job).events != "none":
            self._offer(event)

    def run_finished(self, event: RunFinished) -> None:
        self._started.discard(event.run.id)
        self._log_event(JobPerformance(event.run))
        if event.run.outcome.down:
            self._log_event(JobFailed(event.run))
        if self._exporters:
            report = self._sampler.make_report(event.run, self._reporting_of(event.run.job))
            self._offer_report(
                replace(report, invocation=invocation) if (invocation := current_invocation()) else report
            )
            self._meter.wake()

    def run_requested(self, ticket: Ticket, trace_parent: str) -> None:
        """Publish that a run was requested. `trace_parent`: the header of the request; invalid values are ignored."""
        caller = parse_trace_parent(trace_parent)
        if caller is not None and self._reporting_of(ticket.job).spans != "none":
            self._offer(RunRequested(ticket.id, ticket.job, caller, datetime.now(UTC)))

    def tick_planned(self, at: datetime, ended_at: datetime, plan: TickPlan) -> None:
        """A tick has planned what was due."""
        tickets, planned, missed = chain(plan.on_time, *plan.caught_up), plan.ticket_count, len(plan.missed)
        if (event := self._ticks.select_tick(at, ended_at, tickets, planned, missed)) is not None:
            self._offer(event)

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        """The run is given up; `reason` is a sentence."""
        event = DeadLettered(ticket, reason)
        self._log_event(event)
        self._offer(event)

    def gauges(self, values: Iterable[tuple[names.GaugeDeclaration, float]]) -> None:
        """Publish values of the watchdog."""
        self._offer(Measurements(tuple(Measurement(names.gauge_metric(gauge), (value,)) for gauge, value in values)))

    def health(self) -> list[dict[str, object]]:
        """Of each exporter: `exporter`, `state` (off, on, degraded), `last_error`, `sent`, `dropped`; of the requests
        that wait for it: `waiting` (their number), `waiting_bytes`, `oldest` (an instant, or None) and `spool_problem`.
        """
        reports = [self._health_of(exporter) for exporter in self._exporters]
        reports += [ExporterHealth(name, "off") for name in self._disabled]
        return [
            {
                "exporter": report.exporter,
                "state": report.state,
                "last_error": report.last_error,
                "sent": report.sent,
                "dropped": report.dropped,
                "waiting": report.spool.requests,
                "waiting_bytes": report.spool.size,
                "oldest": report.spool.oldest and format_instant(report.spool.oldest),
                "spool_problem": report.spool.problem,
            }
            for report in sorted(reports, key=lambda report: report.exporter)
        ]

    async def aclose(self, timeout: float = 3.0) -> None:  # noqa: ASYNC109  # the exporters bound their threads by it
        """Deliver what is queued, all exporters at the same time, for at most `timeout` seconds."""
        for report in self._sampler.remaining_reports():
            self._offer(report)
        self._meter.flush()
        self._started.close()
        logging.getLogger().removeHandler(self._forwarder)
        await asyncio.gather(*(exporter.aclose(timeout) for exporter in self._exporters), return_exceptions=True)

    def _log_started(self, event: RunStarted) -> None:
        self._log_event(JobStarted(event, level=self._start_level))

    def _log_event(self, event: LogEvent, log: logging.Logger = _log) -> None:
        try:
            if log.isEnabledFor(event.level):
                log.handle(self._records.make(log, event))
        except Exception:
            # A log handler of another library failed, which must not affect the run.
            self._count_failure("log")

    def _reporting_of(self, job: str) -> Reporting:
        return resolve_reporting(self._policy_of(job), self._default_reporting)

    def _offer_report(self, report: RunReport) -> None:
        if not report.is_empty:
            self._offer(report)

    def _offer(self, event: TelemetryEvent) -> None:
        for exporter in self._exporters:
            try:
                exporter.offer(event)
            except Exception:
                self._count_failure(exporter.name)

    def _read_drops(self) -> list[Measurement]:
        """Return what each exporter has lost since the last call."""
        measurements = []
        for exporter in self._exporters:
            dropped = self._health_of(exporter).dropped
            if lost := dropped - self._reported_drops.get(exporter.name, 0):
                self._reported_drops[exporter.name] = dropped
                measurements.append(Measurement(names.DROPPED_TELEMETRY, (lost,), {names.TAG_EXPORTER: exporter.name}))
        return measurements

    def _count_failure(self, name: str) -> None:
        self._failed_events[name] = self._failed_events.get(name, 0) + 1

    def _health_of(self, exporter: Exporter) -> ExporterHealth:
        report = exporter.health()
        broken = self._failed_events.get(exporter.name, 0)
        if not broken:
            return report
        error = report.last_error or f"raised on {broken} events"
        return ExporterHealth(report.exporter, "degraded", error, report.sent, report.dropped + broken)


def _no_policy(job: str) -> TelemetryPolicy | None:
    return None


def has_exporters(settings: Settings) -> bool:
    """Return whether any exporter has its setting."""
    return bool(
        settings.application_insights.connection_string or settings.datadog.api_key or settings.otlp.endpoints()
    )


def build_telemetry(settings: Settings, redactor: Redactor, *, start_level: int = logging.INFO) -> Telemetry:
    """Telemetry with the exporters that have their setting; nothing of any other is even imported."""
    from config.outbound import build_outbound

    for value in build_outbound(settings).secrets:
        redactor.add_permanent(value)
    built = {
        APPLICATION_INSIGHTS: _build_application_insights(settings, redactor),
        DATADOG: _build_datadog(settings, redactor),
        OTLP: _build_otlp(settings, redactor),
    }
    return Telemetry(
        [exporter for exporter in built.values() if exporter is not None],
        disabled=[name for name, exporter in built.items() if exporter is None],
        environment=settings.environment,
        version=settings.version or "unknown",
        reporting=settings.telemetry,
        start_level=start_level,
        redactor=redactor,
    )


def _build_application_insights(settings: Settings, redactor: Redactor) -> Exporter | None:
    if (secret := settings.application_insights.connection_string) is None:
        return None
    from observability.exporters.application_insights import build_application_insights_exporter
    from observability.exporters.spool import open_spool

    text = secret.get_secret_value()
    redactor.add_permanent(text)
    spool = open_spool(settings, APPLICATION_INSIGHTS, text)
    exporter = build_application_insights_exporter(settings, text, redactor, spool)
    return select_events(exporter, settings.application_insights.events)


def _build_datadog(settings: Settings, redactor: Redactor) -> Exporter | None:
    if (secret := settings.datadog.api_key) is None:
        return None
    from observability.exporters.datadog import build_datadog_exporter
    from observability.exporters.spool import open_spool

    text = secret.get_secret_value()
    redactor.add_permanent(text)
    spool = open_spool(settings, DATADOG, settings.datadog.url or settings.datadog.site)
    return select_events(build_datadog_exporter(settings, text, redactor, spool), settings.datadog.events)


def _build_otlp(settings: Settings, redactor: Redactor) -> Exporter | None:
    if not (endpoints := settings.otlp.endpoints()):
        return None
    from observability.exporters.otlp import build_otlp_exporter
    from observability.exporters.spool import open_spool

    for value in settings.otlp.header_values().values():
        redactor.add_permanent(value)
    exporter = build_otlp_exporter(settings, redactor, open_spool(settings, OTLP, " ".join(endpoints.values())))
    return select_events(exporter, settings.otlp.events)
