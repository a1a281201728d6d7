"""The exporter of OTLP against a collector on loopback: what arrives, and what happens to what it refuses."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.settings.model import Settings
from jobs.redaction import Redactor
from jobs.runs import Outcome, Run
from jobs.trace_ids import span_id_of, trace_id_of
from observability import names
from observability.events import DeadLettered, Measurement, Measurements, RunRequested
from observability.exporters.background import BackgroundExporter, DeliveryCounts, Pace, ShutdownSignal
from observability.exporters.otlp import OtlpDelivery, OtlpOptions, build_otlp_exporter
from observability.exporters.spool import Spool
from tests.observability import runs
from tests.observability.fakes import until
from tests.parts.otlp_collector import OtlpCollector, read_attributes
from tests.project import ROOT

CANARY = "canary-secret-value"


@pytest.fixture
async def collector() -> AsyncIterator[OtlpCollector]:
    async with OtlpCollector() as collector:
        yield collector


def exporter_for(collector: OtlpCollector, *, gather_s: float = 0.0, **options: Any) -> BackgroundExporter:
    otlp = {"endpoint": collector.url, **options}
    settings = Settings.model_validate({"environment": "test", "version": "1.2.3", "otlp": otlp})
    redactor = Redactor()
    redactor.add_permanent(CANARY)
    return build_otlp_exporter(settings, redactor, gather_seconds=gather_s)


async def send(exporter: BackgroundExporter, *events: Any) -> None:
    exporter.start()
    for event in events:
        exporter.offer(event)
    await exporter.aclose(10)


def hundred() -> list[Run]:
    """Of ten jobs ten runs each: eight good ones, one after a retry, one failed."""
    now = datetime.now(UTC)
    again = (runs.failed_attempt(1, message=f"refused {CANARY}"), runs.good_attempt(2))
    made = []
    for number in range(10):
        due = [now - timedelta(milliseconds=100 * number + place) for place in range(10)]
        job = f"job-{number}"
        made += [runs.run(job=job, due_at=at) for at in due[:8]]
        made.append(runs.run(job=job, due_at=due[8], attempts=again))
        made.append(runs.run(Outcome.FAILED, job=job, due_at=due[9], message=f"refused {CANARY}"))
    return made


async def test_a_hundred_runs_arrive_as_traces_metrics_and_logs(collector: OtlpCollector) -> None:
    exporter = exporter_for(collector)
    await send(exporter, *map(runs.reported, hundred()))

    assert Counter(span.name for span in collector.spans if span.parent_span_id == b"") == {
        f"run job-{number}": 10 for number in range(10)
    }
    assert Counter(record.event_name for record in collector.records) == {"JOB_PERFORMANCE": 100, "JOB_FAILED": 10}
    assert collector.sum_of("scheduler.job.runs") == 100
    assert collector.sum_of("scheduler.job.runs", outcome="failed", job="job-3") == 1
    assert collector.sum_of("scheduler.job.duration") == 100
    health = exporter.health()
    assert (health.state, health.dropped, health.spool.requests) == ("on", 0, 0)
    assert health.sent == len(collector.spans) + len(collector.records) + len(collector.metrics)


async def test_the_attempts_of_a_run_are_spans_with_their_phases(collector: OtlpCollector) -> None:
    run = runs.run()
    await send(exporter_for(collector), runs.reported(run))
    attempt, whole = collector.spans
    assert whole.trace_id == trace_id_of(run.id).to_bytes(16, "big")
    assert whole.span_id == attempt.parent_span_id == span_id_of(run.id).to_bytes(8, "big")
    assert attempt.span_id == span_id_of(run.id, 1).to_bytes(8, "big")
    found = read_attributes(attempt.attributes)
    assert {key: found[key] for key in ("DnsTime", "ConnectTime", "TlsTime", "FirstByteTime")} == {
        "DnsTime": 1.0,
        "ConnectTime": 2.0,
        "TlsTime": 3.0,
        "FirstByteTime": 5.0,
    }
    assert (found["server.address"], found["http.response.status_code"]) == ("checkout.internal", 200)
    assert attempt.end_time_unix_nano - attempt.start_time_unix_nano == 12_000_000


async def test_log_records_belong_to_the_trace_of_their_run(collector: OtlpCollector) -> None:
    await send(exporter_for(collector), runs.retried(), DeadLettered(runs.ticket(), "its queue is gone"))
    retry, dead = collector.records
    assert (retry.event_name, retry.severity_text, dead.event_name) == ("JOB_RETRY", "WARN", "JOB_DEAD_LETTERED")
    assert retry.trace_id == dead.trace_id == trace_id_of(runs.ticket().id).to_bytes(16, "big")
    assert collector.sum_of("scheduler.job.dead_letters") == 1


async def test_a_requested_run_has_a_span_in_the_trace_of_its_caller(collector: OtlpCollector) -> None:
    caller = (int("c" * 32, 16), int("d" * 16, 16))
    await send(exporter_for(collector), RunRequested("checkout@x", "checkout", caller, datetime.now(UTC)))
    (span,) = collector.spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("queue run checkout", "c" * 32, "d" * 16)


async def test_gauges_have_their_newest_value(collector: OtlpCollector) -> None:
    gauge = names.Metric("scheduler.watchdog.tick_gap", "Time since the last tick.", "s", "gauge")

    def gauge_of(value: float) -> Measurements:
        return Measurements((Measurement(gauge, (value,)),))

    await send(exporter_for(collector), gauge_of(9.0), gauge_of(1.5))
    assert collector.sum_of("scheduler.watchdog.tick_gap") == 1.5


async def test_the_resource_names_service_environment_and_process(
    collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=payments,service.name=orders")
    await send(exporter_for(collector, signals="traces"), runs.reported())
    (found,) = (read_attributes(each.attributes) for each in collector.resources)
    assert (found["service.name"], found["service.version"], found["team"]) == ("orders", "1.2.3", "payments")
    assert found["deployment.environment.name"] == "test"
    assert ":" in found["service.instance.id"]


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
async def test_only_the_selected_signals_are_sent(collector: OtlpCollector, signal: str) -> None:
    await send(exporter_for(collector, signals=signal), runs.reported())
    assert {request.path for request in collector.requests} == {f"/v1/{signal}"}


@pytest.mark.parametrize(("is_delta", "values"), [(True, [1, 1]), (False, [1, 2])])
async def test_counts_are_exact_in_both_temporalities(
    collector: OtlpCollector, is_delta: bool, values: list[int]
) -> None:
    options = OtlpOptions(
        {"metrics": f"{collector.url}/v1/metrics"},
        headers={},
        resource={"service.instance.id": "a"},
        version="1",
        is_delta=is_delta,
        metric_interval=0.0,
    )
    delivery = OtlpDelivery(options, Spool(), Redactor())
    delivery.open(DeliveryCounts("otlp", Redactor()), ShutdownSignal(), Pace())
    await asyncio.to_thread(delivery.deliver, [runs.reported()])
    await asyncio.to_thread(delivery.deliver, [runs.reported()])
    await asyncio.to_thread(delivery._client.close)
    points = [point for _, metric, point in collector.metrics if metric.name == "scheduler.job.runs"]
    assert [point.as_int for point in points] == values
    assert collector.sum_of("scheduler.job.runs") == 2


async def test_histograms_can_be_exponential(collector: OtlpCollector) -> None:
    histograms = "base2_exponential_bucket_histogram"
    await send(exporter_for(collector, signals="metrics", histograms=histograms), runs.reported())
    kinds = {metric.name: metric.WhichOneof("data") for _, metric, _ in collector.metrics}
    assert kinds["scheduler.job.duration"] == "exponential_histogram"


async def test_metrics_of_many_series_are_sent_in_several_requests(collector: OtlpCollector) -> None:
    events = [runs.reported(runs.run(job=f"job-{number}")) for number in range(600)]
    await send(exporter_for(collector, signals="metrics"), *events)
    assert len(collector.requests) == 3
    assert collector.sum_of("scheduler.job.runs") == collector.sum_of("scheduler.job.attempts") == 600


async def test_headers_are_sent_and_are_in_no_message() -> None:
    async with OtlpCollector({"x-api-key": "key of mine"}) as collector:
        exporter = exporter_for(collector, headers="x-api-key=key%20of%20mine")
        await send(exporter, runs.reported())
        assert exporter.health().state == "on"
        other = exporter_for(collector, headers="x-api-key=another%20key")
        await send(other, runs.reported())
    assert other.health().last_error.endswith("answered 401")
    assert (other.health().state, other.health().sent) == ("degraded", 0)
    assert other.health().dropped > 0


async def test_no_secret_is_in_any_byte(collector: OtlpCollector) -> None:
    exporter = exporter_for(collector, compression="none")
    failed = runs.run(Outcome.FAILED, message=f"refused {CANARY}", attempts=(runs.failed_attempt(message=CANARY),))
    await send(exporter, runs.reported(failed), runs.retried(message=CANARY))
    sent = b"".join(request.body for request in collector.requests)
    assert b"refused ***" in sent
    assert CANARY.encode() not in sent


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_is_refused_for_a_while_is_sent_again_as_it_was(collector: OtlpCollector, status: int) -> None:
    collector.refuse_with(status, times=1, headers={"Retry-After": "0"})
    exporter = exporter_for(collector, signals="logs")
    exporter.start()
    exporter.offer(runs.reported())
    await until(lambda: bool(collector.records))
    await exporter.aclose(10)
    first, second = (request.body for request in collector.requests)
    assert first == second
    assert (exporter.health().state, exporter.health().dropped) == ("on", 0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
async def test_what_is_refused_for_good_is_dropped_and_counted(collector: OtlpCollector, status: int) -> None:
    collector.refuse_with(status)
    exporter = exporter_for(collector, signals="logs")
    await send(exporter, runs.reported())
    assert len(collector.requests) == 1
    assert (exporter.health().dropped, exporter.health().last_error) == (1, f"logs: answered {status}")


async def test_rejected_items_of_an_accepted_request_are_counted(collector: OtlpCollector) -> None:
    collector.reject_items(2, "too old \x1b[31m")
    exporter = exporter_for(collector, signals="logs")
    await send(exporter, *[runs.reported() for _ in range(5)])
    health = exporter.health()
    assert (health.sent, health.dropped, health.state) == (3, 2, "degraded")
    assert health.last_error == "logs: rejected 2 of 5 items: too old \\x1b[31m"


async def test_a_request_that_is_too_large_is_halved_until_it_is_accepted() -> None:
    async with OtlpCollector(largest=2_500) as collector:
        exporter = exporter_for(collector, compression="none")
        await send(exporter, *[runs.reported(runs.run(job=f"job-{number}")) for number in range(8)])
    assert len(collector.records) == 8
    assert len(collector.spans) == 16
    assert collector.sum_of("scheduler.job.runs") == 8
    assert exporter.health().dropped == 0


async def test_a_redirect_is_not_followed_because_it_would_get_the_headers(collector: OtlpCollector) -> None:
    async with OtlpCollector() as other:
        collector.refuse_with(307, headers={"Location": f"{other.url}/v1/logs"})
        exporter = exporter_for(collector, signals="logs", headers="x-api-key=key%20of%20mine")
        await send(exporter, runs.reported())
    assert other.requests == []
    assert exporter.health().last_error == "logs: answered 307"


def test_it_changes_nothing_that_is_global_and_is_not_imported_without_its_setting() -> None:
    program = """
import asyncio, json, sys
from config.settings.model import Settings
from jobs.redaction import Redactor
from observability.telemetry import build_telemetry
build_telemetry(Settings(), Redactor())
before = [name for name in sys.modules if name.startswith(("opentelemetry", "observability.exporters.otlp"))]
from observability.exporters.otlp import build_otlp_exporter
made = build_otlp_exporter(Settings.model_validate({"otlp": {"endpoint": "http://127.0.0.1:9"}}), Redactor())
made.start()
asyncio.run(made.aclose(10))
from opentelemetry import _logs, metrics, trace
ours = [type(get()).__module__ for get in
        (trace.get_tracer_provider, metrics.get_meter_provider, _logs.get_logger_provider)]
print(json.dumps([before, [module for module in ours if ".sdk" in module]]))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == [[], []], done.stderr


def test_a_file_of_authorities_that_is_missing_is_reported(tmp_path: Path) -> None:
    from observability.exporters.otlp_sdk import OtlpClient

    with pytest.raises(FileNotFoundError):
        OtlpClient({}, tmp_path / "none.pem", "1")
