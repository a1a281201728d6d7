"""Gives the spans of a run the ids that follow from the run's id. Used by spans, in the thread of an exporter."""

from __future__ import annotations

from typing import Any

from jobs.formats.trace_ids import span_id_of, trace_id_of

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
