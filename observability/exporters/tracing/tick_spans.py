"""The span of a tick, linked to the runs that it planned. Used by observability.exporters.tracing.spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobs.formats.instants import format_run_instant
from jobs.formats.trace_ids import span_id_of, trace_id_of
from observability import names
from observability.exporters.tracing.attributes import to_nanoseconds
from observability.exporters.tracing.links import make_link
from observability.exporters.tracing.run_ids import INSTRUMENTATION_SCOPE, RunIdGenerator, set_id_generator

if TYPE_CHECKING:
    from observability.sampling import TickPlanned

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
