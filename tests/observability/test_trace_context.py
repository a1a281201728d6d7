"""A target receives the context of the span that is exported for the attempt: its own trace continues ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.runner import Runner
from jobs.runs import Run
from jobs.trace_ids import format_trace_id, parse_trace_parent
from observability.exporters.application_insights import make_attempt_span
from observability.exporters.tracing import SpanEmitter, make_run_fields
from tests.jobs.checks.http_check import open_http_check
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import TICKET, Heard
from tests.observability import runs
from tests.observability.exporters.otlp.test_delivery import exporter_for, send
from tests.parts.http_target import HttpTarget
from tests.parts.otlp_collector import OtlpCollector


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    async with HttpTarget() as server:
        yield server


async def run_job(target: HttpTarget, **job: Any) -> Run:
    """Run a job against the target, which answers 503, then 200."""
    target.sequence("/health", 503, 200)
    definition = JobDefinition.model_validate(
        {
            "name": TICKET.job,
            "check": {"url": f"{target.url}/health"},
            "retry": {"attempts": 3, "initial": "1ms"},
            **job,
        }
    )
    async with open_http_check(traces=True) as driver:
        checks = {"http": driver.check}
        runner = Runner(checks, CircuitBreakers(MemoryStates()), Heard(), SystemClock(), driver.redactor)
        return await runner.run(definition, TICKET)


def received(target: HttpTarget) -> list[tuple[int, int] | None]:
    """The trace and the span of each request."""
    return [parse_trace_parent(request.headers["traceparent"]) for request in target.requests]


async def test_a_target_sees_the_spans_that_otlp_exports(target: HttpTarget) -> None:
    run = await run_job(target)
    async with OtlpCollector() as collector:
        await send(exporter_for(collector), runs.reported(run))
        attempts = [span for span in collector.spans if span.parent_span_id]
    exported = [(int.from_bytes(span.trace_id), int.from_bytes(span.span_id)) for span in attempts]
    assert received(target) == exported
    assert len(set(exported)) == 2, "a retry has another span"
    assert {f"{trace:032x}" for trace, _ in exported} == {format_trace_id(run.id)}


async def test_a_target_sees_the_spans_that_application_insights_gets(target: HttpTarget) -> None:
    run = await run_job(target)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    SpanEmitter(provider, "1.2.3", Redactor(), make_attempt_span).emit_run(run, make_run_fields(run, Redactor()), None)
    *attempts, whole = exporter.get_finished_spans()
    contexts = [span.context for span in attempts]
    assert received(target) == [(context.trace_id, context.span_id) for context in contexts if context is not None]
    assert whole.context is not None
    assert f"{whole.context.trace_id:032x}" == format_trace_id(run.id)


async def test_a_job_that_has_switched_it_off_reaches_its_target_without(
    target: HttpTarget,
) -> None:
    await run_job(target, telemetry={"trace_context": False})
    assert len(target.requests) == 2
    assert all("traceparent" not in request.headers for request in target.requests)
