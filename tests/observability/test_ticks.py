"""The spans of ticks: which ticks have one, and that it is linked to the runs that the tick planned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jobs.policies.execution import Reporting, RowSelection
from jobs.runs import Ticket
from jobs.trace_ids import span_id_of, trace_id_of
from observability.exporters.tracing import TickSpanEmitter
from observability.sampling import MAX_LINKED_RUNS, TickPlanned
from observability.telemetry import Telemetry
from scheduler.planning.plan import MissedSpan, Plan
from tests.observability.fakes import RecordingExporter
from tests.scheduler.fakes import entry

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def tickets(number: int, at: datetime = AT) -> list[Ticket]:
    return [Ticket.scheduled(f"job-{each}", at, "g1") for each in range(number)]


def ticks(spans: RowSelection, *plans: tuple[float, Plan]) -> list[TickPlanned]:
    """`plans`: with the seconds since the first tick."""
    exporter = RecordingExporter()
    telemetry = Telemetry([exporter], reporting=Reporting(spans=spans))
    for seconds, plan in plans:
        at = AT + timedelta(seconds=seconds)
        telemetry.tick_planned(at, at + timedelta(milliseconds=5), plan)
    return [event for event in exporter.events if isinstance(event, TickPlanned)]


def plan_of(number: int, missed: int = 0) -> Plan:
    span = MissedSpan(entry("late"), AT, AT)
    return Plan(AT, on_time=tickets(number), caught_up=[], missed=[span] * missed)


@pytest.mark.parametrize(
    ("spans", "found"),
    [("all", [0, 1, 2, 3, 900]), ("failures", [0, 3, 903]), ("none", [])],
)
def test_as_many_ticks_have_a_span_as_the_settings_request(spans: RowSelection, found: list[int]) -> None:
    plans = [(0.0, plan_of(3)), (1.0, plan_of(1)), (2.0, plan_of(1)), (3.0, plan_of(1, missed=2)), (900.0, plan_of(1))]
    if spans == "failures":
        plans.append((903.0, plan_of(1)))
    assert [(event.at - AT).total_seconds() for event in ticks(spans, *plans)] == found


def test_a_tick_that_planned_nothing_has_no_span() -> None:
    assert ticks("all", (0.0, plan_of(0))) == []


def test_caught_up_runs_are_linked_too_and_so_many_runs_at_most() -> None:
    plan = Plan(AT, on_time=tickets(2), caught_up=[tuple(tickets(3, AT - timedelta(hours=1)))])
    (few,) = ticks("all", (0.0, plan))
    assert (few.planned, len(few.run_ids)) == (5, 5)
    (many,) = ticks("all", (0.0, plan_of(10_000)))
    assert (many.planned, len(many.run_ids)) == (10_000, MAX_LINKED_RUNS)


def test_the_span_is_linked_to_the_spans_of_the_runs_before_they_exist() -> None:
    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    (tick,) = ticks("all", (0.0, plan_of(2, missed=1)))
    emitter = TickSpanEmitter(provider, "1.2.3")
    emitter.emit_tick(tick)
    emitter.emit_tick(tick)

    first, again = spans.get_finished_spans()
    assert [(link.context.trace_id, link.context.span_id) for link in first.links] == [
        (trace_id_of(run), span_id_of(run)) for run in tick.run_ids
    ]
    assert dict(first.attributes or {}) == {"PlannedRuns": 2, "MissedSpans": 1}
    assert first.parent is None
    assert (first.end_time or 0) - (first.start_time or 0) == 5_000_000
    assert first.get_span_context() == again.get_span_context()
