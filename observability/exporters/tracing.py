"""The spans of runs, of requests for them and of ticks, and the attributes of OpenTelemetry's spans and records.

Used by the exporters that send traces, each with its own provider. An attribute without a value is omitted, as
OpenTelemetry requires. A run's spans have the ids that follow from the run's id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from jobs.formats import effective_port, format_run_instant
from jobs.runs import Attempt, Phases, Run
from jobs.trace_ids import parse_trace_parent, span_id_of, trace_id_of
from observability import names
from observability.events import Fields, JobPerformance, LogLine, RunRequested, failure_fields
from observability.invocations import Invocation
from observability.redaction import redact_fields
from observability.sampling import TickPlanned

if TYPE_CHECKING:
    from jobs.redaction import Redactor

Attributes = dict[str, str | bool | int | float]


def make_run_fields(run: Run, redactor: Redactor) -> Fields:
    """Return all fields of a run, redacted: those of JOB_PERFORMANCE and JOB_FAILED together."""
    return redact_fields({**JobPerformance(run).fields(), **failure_fields(run)}, redactor)


def make_run_span(fields: Fields) -> Attributes:
    """The attributes of a run's span."""
    shown = (names.JOB_NAME, names.RUN_ID, names.TRIGGER, names.OUTCOME, names.ERROR_TYPE, names.INVOCATION_ID)
    return to_attributes({key: fields[key] for key in shown if key in fields})


def make_attempt_attributes(run: Run, attempt: Attempt) -> Attributes:
    """The attributes of an attempt's span that do not depend on its destination."""
    return to_attributes(
        {
            names.JOB_NAME: run.job,
            names.RUN_ID: run.id,
            names.ATTEMPT_NUMBER: attempt.number,
            names.ERROR_TYPE: attempt.error,
        }
    )


def measure_phases(phases: Phases) -> dict[str, float]:
    """Return the phases that an attempt had, in milliseconds."""
    times = {
        names.DNS_TIME: phases.dns_ms,
        names.CONNECT_TIME: phases.connect_ms,
        names.TLS_TIME: phases.tls_ms,
        names.FIRST_BYTE_TIME: phases.first_byte_ms,
    }
    return {key: round(value, 3) for key, value in times.items() if value is not None}


def make_exception_fields(line: LogLine) -> Fields:
    """What makes a log line a row of `exceptions`; empty without a traceback. Not redacted."""
    trace = line.traceback()
    if not trace:
        return {}
    kind, _, message = trace.rpartition("\n")[2].partition(": ")
    return {"exception.type": kind, "exception.message": message, "exception.stacktrace": trace}


def to_nanoseconds(instant: datetime) -> int:
    """Since the epoch, to the microsecond."""
    return int(instant.timestamp()) * 1_000_000_000 + instant.microsecond * 1000


def to_attributes(fields: Mapping[str, object]) -> Attributes:
    """Fields as attributes: no value, no attribute; `Tags` become one attribute each (`Tags.team`)."""
    flat: Attributes = {}
    for key, value in fields.items():
        if isinstance(value, str):
            flat[key] = str(value)
        elif isinstance(value, (bool, int, float)):
            flat[key] = value
        elif isinstance(value, Mapping):
            flat.update({f"{key}.{name}": str(each) for name, each in value.items()})
    return flat


def make_log_record(
    attributes: Attributes,
    body: str,
    at: int,
    level: int,
    context: Any = None,
    *,
    name: str = "",
    has_text: bool = False,
) -> Any:
    """Return a record of the log. `at`: nanoseconds. `has_text`: whether the name of its severity is sent as well."""
    from opentelemetry._logs import LogRecord
    from opentelemetry._logs.severity import SeverityNumber
    from opentelemetry.context import Context

    # Python's levels 10 to 50 are OpenTelemetry's 5, 9, 13, 17 and 21.
    severity = SeverityNumber(min(21, max(5, level // 10 * 4 + 1)))
    return LogRecord(
        timestamp=at,
        context=context or Context(),
        severity_text=severity.name if has_text else None,
        severity_number=severity,
        body=body,
        attributes=attributes,
        event_name=name or None,
    )


def make_http_attributes(endpoint: str, status: int | None, *, method: str) -> Attributes:
    """Return the attributes of the target. A query never gets here; if one does, it is removed."""
    try:
        parts = urlsplit(endpoint)
        port = effective_port(parts.scheme, parts.port)
    except ValueError:
        return {}
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        return {}
    attributes: Attributes = {
        "http.request.method": method,
        "url.full": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
        "server.address": parts.hostname,
        "server.port": port,
    }
    if status is not None:
        attributes["http.response.status_code"] = status
    return attributes


def make_link(ids: tuple[int, int]) -> Any:
    """Return a link to a span. `ids`: of its trace and its own."""
    from opentelemetry.trace import Link

    return Link(make_span_context(*ids))


def make_span_context(trace_id: int, span_id: int) -> Any:
    """Sampled: whether we keep our own span does not depend on what others keep."""
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


INSTRUMENTATION_SCOPE = "scheduler"


class RunIdGenerator:
    """An OpenTelemetry IdGenerator whose next ids are set right before each span."""

    def __init__(self) -> None:
        self._trace = self._span = 1

    def set_next(self, run_id: str, attempt: int = 0) -> None:
        """The next span is that of this attempt; 0: of the run itself."""
        self._trace, self._span = trace_id_of(run_id), span_id_of(run_id, attempt)

    def generate_trace_id(self) -> int:
        return self._trace

    def generate_span_id(self) -> int:
        return self._span

    def is_trace_id_random(self) -> bool:
        """Whether its lower half is as good as random: it is part of a hash."""
        return True


def set_id_generator(tracer: Any, ids: RunIdGenerator) -> Any:
    """Return the tracer with these ids for its spans. It must not be shared."""
    tracer.id_generator = ids
    return tracer


SPAN_NAME: Final = "tick"


class TickSpanEmitter:
    """`provider`: OpenTelemetry's provider of tracers."""

    def __init__(self, provider: Any, version: str) -> None:
        self._ids = RunIdGenerator()
        self._tracer = set_id_generator(provider.get_tracer(f"{INSTRUMENTATION_SCOPE}.ticks", version), self._ids)

    def emit_tick(self, tick: TickPlanned) -> None:
        """Emit the span in its own trace, whose ids follow from the instant of the tick."""
        from opentelemetry.context import Context

        # The name of a job has no space, so that no run has this id.
        self._ids.set_next(f"tick {format_run_instant(tick.at)}")
        span = self._tracer.start_span(
            SPAN_NAME,
            Context(),
            links=[make_link((trace_id_of(run), span_id_of(run))) for run in tick.run_ids],
            attributes={names.PLANNED_RUNS: tick.planned, names.MISSED_SPANS: tick.missed},
            start_time=to_nanoseconds(tick.at),
        )
        span.end(to_nanoseconds(tick.ended_at))


AttemptAttributes = Callable[[Run, Attempt, str], Attributes]
"""Makes the attributes of an attempt's span, from the run, the attempt and the endpoint."""


class SpanEmitter:
    """`provider`: OpenTelemetry's provider of tracers."""

    def __init__(self, provider: Any, version: str, redactor: Redactor, make_attempt_span: AttemptAttributes) -> None:
        self._redactor = redactor
        self._make_attempt_span = make_attempt_span
        self._run_ids = RunIdGenerator()
        self._ticks = TickSpanEmitter(provider, version)
        self._tracer = provider.get_tracer(INSTRUMENTATION_SCOPE, version)
        run_tracer = provider.get_tracer(f"{INSTRUMENTATION_SCOPE}.runs", version)
        self._run_tracer = set_id_generator(run_tracer, self._run_ids)

    def emit_run(self, run: Run, fields: Fields, invocation: Invocation | None) -> Any:
        """Emit a span of the run and one of each attempt. Return the context of the run's span."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, set_span_in_context

        performed_in = parse_trace_parent(invocation.trace_parent) if invocation is not None else None
        self._run_ids.set_next(run.id)
        span = self._run_tracer.start_span(
            f"run {run.job}",
            Context(),
            links=[make_link(performed_in)] if performed_in is not None else None,
            attributes=make_run_span(fields),
            start_time=to_nanoseconds(run.started_at),
        )
        context = set_span_in_context(span, Context())
        for attempt in run.attempts:
            self._run_ids.set_next(run.id, attempt.number)
            child = self._run_tracer.start_span(
                f"attempt {attempt.number}",
                context,
                SpanKind.CLIENT,
                attributes=self._make_attempt_span(run, attempt, str(fields[names.ENDPOINT])),
                start_time=to_nanoseconds(attempt.started_at),
            )
            if not attempt.succeeded:
                _mark_failed(child, self._redactor.redact(attempt.message))
            child.end(to_nanoseconds(attempt.started_at + timedelta(milliseconds=attempt.phases.total_ms)))
        if run.outcome.down:
            _mark_failed(span, str(fields[names.ERROR_MESSAGE]))
        span.end(to_nanoseconds(run.finished_at))
        return context

    def emit_event(self, event: RunRequested | TickPlanned) -> None:
        """Emit the span of a request or a tick."""
        if isinstance(event, RunRequested):
            self.emit_request(event)
        else:
            self._ticks.emit_tick(event)

    def emit_request(self, event: RunRequested) -> None:
        """Emit a span in the caller's trace, with a link to the run's span, which may start in another process."""
        from opentelemetry.context import Context
        from opentelemetry.trace import NonRecordingSpan, set_span_in_context

        caller = set_span_in_context(NonRecordingSpan(make_span_context(*event.caller)), Context())
        at = to_nanoseconds(event.at)
        span = self._tracer.start_span(
            f"queue run {event.job}",
            caller,
            attributes={names.JOB_NAME: event.job, names.RUN_ID: event.run_id},
            links=[make_link((trace_id_of(event.run_id), span_id_of(event.run_id)))],
            start_time=at,
        )
        span.end(at)


def _mark_failed(span: Any, message: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, message))
