"""Links from one span to another, which perhaps does not exist yet. Used by spans and tick_spans."""

from __future__ import annotations

from typing import Any


def make_link(ids: tuple[int, int]) -> Any:
    """Return a link to a span. `ids`: of its trace and its own."""
    from opentelemetry.trace import Link

    return Link(make_span_context(*ids))


def make_span_context(trace_id: int, span_id: int) -> Any:
    """Sampled: whether we keep our own span does not depend on what others keep."""
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
