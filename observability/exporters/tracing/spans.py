"""The spans of runs and of requests for them. Used by the deliveries that send traces, each with its own provider."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jobs.formats.trace_ids import parse_trace_parent, span_id_of, trace_id_of
from jobs.runs import Attempt, Run
from observability import names
from observability.events import Fields, RunRequested
from observability.exporters.tracing.attributes import Attributes, make_run_span, to_nanoseconds
from observability.exporters.tracing.links import make_link, make_span_context
from observability.exporters.tracing.run_ids import INSTRUMENTATION_SCOPE, RunIdGenerator, set_id_generator
from observability.exporters.tracing.tick_spans import TickSpanEmitter
from observability.invocations import Invocation
from observability.sampling import TickPlanned

if TYPE_CHECKING:
    from jobs.redaction import Redactor

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
