"""Runs are linked with the invocations of the Functions host, on Microsoft's worker."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from jobs.redaction import Redactor
from jobs.trace_ids import parse_trace_parent
from observability.events import RunRequested
from observability.sampling import RunReport
from observability.telemetry import Telemetry
from scheduler.app import early_telemetry
from tests.observability.fakes import RecordingExporter
from tests.scheduler.functions.hosted import Hosted


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> RecordingExporter:
    exporter = RecordingExporter()

    def build(settings: Any, redactor: Redactor, *, start_level: int = logging.INFO) -> Telemetry:
        return Telemetry([exporter], start_level=start_level)

    monkeypatch.setattr(early_telemetry, "build_telemetry", build)
    return exporter


async def test_a_run_knows_the_invocation_that_performed_it_and_its_caller(
    exporter: RecordingExporter, hosted: Hosted
) -> None:
    reply = await hosted.worker.http("POST", "/api/jobs/onDemand/run", key="operate")
    assert reply.status == 202, reply.body
    (done,) = await hosted.hand_over(await hosted.queue.take_when_visible())
    assert done.failure is None

    (requested,) = (event for event in exporter.events if isinstance(event, RunRequested))
    (report,) = (event for event in exporter.events if isinstance(event, RunReport))
    assert requested.run_id == report.run.id == reply.json()["id"]
    assert report.invocation is not None
    assert report.invocation.id
    performed_in = parse_trace_parent(report.invocation.trace_parent)
    assert performed_in is not None
    assert performed_in != requested.caller
