"""Azure Monitor's real distro against a played ingestion endpoint: what arrives, and what happens when it is away."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jobs.redaction import Redactor
from jobs.trace_ids import span_id_of, trace_id_of
from observability.exporters import application_insights_sdk as sdk_setup
from observability.exporters.background import DeliveryCounts
from observability.sampling import MAX_LINKED_RUNS
from tests.observability import runs
from tests.observability.insights_program import CANARY, CLOSE_WITHIN
from tests.parts.application_insights import INSTRUMENTATION_KEY
from tests.parts.bad_servers import black_hole, refused_port
from tests.parts.ingestion import ApplicationInsightsIngestion
from tests.project import ROOT


async def run_program(connection_string: str, tmp_path: Path, scenario: str = "", **environ: str) -> dict[str, Any]:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "OTEL_TRACES_SAMPLER": "", **environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.observability.insights_program", connection_string, scenario),
        cwd=ROOT,
        env={name: value for name, value in environment.items() if value},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), 100)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, errors.decode()
    observed: dict[str, Any] = json.loads(output)
    return observed


@pytest.fixture
async def insights() -> AsyncIterator[ApplicationInsightsIngestion]:
    async with ApplicationInsightsIngestion() as insights:
        yield insights


def elsewhere(url: str) -> str:
    return f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint={url}"


def of_type(insights: ApplicationInsightsIngestion, base_type: str) -> list[dict[str, Any]]:
    """The whole envelopes."""
    return [item for item in insights.items if item["data"]["baseType"] == base_type]


def by_trace(items: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The spans of each trace."""
    traces: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in items:
        if item["data"]["baseType"] == "RemoteDependencyData":
            traces[item["tags"]["ai.operation.id"]].append(item)
    return traces


async def test_two_hundred_runs_arrive_whole(insights: ApplicationInsightsIngestion, tmp_path: Path) -> None:
    observed = await run_program(insights.connection_string, tmp_path)
    _custom_events(insights)
    _availability_rows(insights)
    _metrics(insights)
    _traces(insights)
    _the_programs_own_lines(insights)
    _nothing_that_should_not_be_there(insights)
    assert observed["health"]["state"] == "on"
    assert observed["health"]["sent"] == len(insights.items)
    assert observed["health"]["dropped"] == 0
    assert observed["offered_s"] < 0.2
    assert observed["instrumented"] is False
    assert observed["threads"] in (["MainThread"], ["MainThread", "asyncio_0"])


def _custom_events(insights: ApplicationInsightsIngestion) -> None:
    events = insights.by_type("EventData")
    assert Counter(event["name"] for event in events) == {"JobRun": 200, "JobDeadLettered": 1}
    reported = [event for event in events if event["name"] == "JobRun"]
    assert Counter(event["properties"]["Outcome"] for event in reported) == {
        "succeeded": 180,
        "failed": 10,
        "skipped": 10,
    }
    failed = next(event for event in reported if event["properties"]["Outcome"] == "failed")
    assert failed["properties"]["ErrorType"] == "connection_refused"
    assert failed["properties"]["ErrorMessage"] == "refused ***"
    assert failed["measurements"] == {"Duration": 60.0, "ResponseTime": 3.0, "Lateness": 2.0, "Attempts": 1.0}


def _availability_rows(insights: ApplicationInsightsIngestion) -> None:
    """One of each run that asked its target: those that were left out say nothing about it."""
    rows = insights.by_type("AvailabilityData")
    assert Counter(row["success"] for row in rows) == {True: 180, False: 10}
    assert Counter(row["name"] for row in rows) == {f"job-{number}": 19 for number in range(10)}
    assert Counter(row["duration"] for row in rows) == {
        "0.00:00:00.020": 170,
        "0.00:00:00.040": 10,
        "0.00:00:00.060": 10,
    }


def _metrics(insights: ApplicationInsightsIngestion, *, by_default: bool = False) -> None:
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    tags: dict[str, set[str]] = defaultdict(set)
    for data in insights.by_type("MetricData"):
        for point in data["metrics"]:
            sums[point["name"]] += point["value"]
            counts[point["name"]] += point["count"]
            tags[point["name"]] |= set(data["properties"])
    assert sums == {
        "scheduler.job.runs": 200,
        "scheduler.job.duration": 170 * 20 + 10 * 40 + 10 * 60,
        "scheduler.job.lateness": 190 * 2,
        "scheduler.job.response_time": 180 * 12 + 10 * 3,
        "scheduler.job.attempts": 180 + 10 * 2,
        "scheduler.job.retries": 10,
        "scheduler.job.dead_letters": 1,
        "scheduler.watchdog.tick_gap": 1.5,
        "scheduler.watchdog.queue_depth": 4,
    }
    assert counts["scheduler.job.duration"] == 190
    assert tags["scheduler.job.runs"] == {"job", "outcome", "degraded", "trigger"}
    assert tags["scheduler.job.lateness"] == (set() if by_default else {"job"})


def _traces(insights: ApplicationInsightsIngestion) -> None:
    traces = by_trace(insights.items)
    assert len(traces) == 200
    assert Counter(len(spans) for spans in traces.values()) == {1: 10, 2: 180, 3: 10}
    events = [item["tags"].get("ai.operation.id") for item in of_type(insights, "EventData")]
    assert set(traces) <= set(events)
    data = [span["data"]["baseData"] for span in next(each for each in traces.values() if len(each) == 3)]
    assert {(span["name"], span["type"], span["success"]) for span in data} == {
        ("run job-0", "InProc", True),
        ("HTTP /health", "HTTP", False),
        ("HTTP /health", "HTTP", True),
    }
    answered = next(span for span in data if span["resultCode"] == "200")
    assert (answered["target"], answered["duration"]) == ("checkout.internal:8443", "0.00:00:00.012")
    assert answered["measurements"] == {"DnsTime": 1.0, "ConnectTime": 2.0, "TlsTime": 3.0, "FirstByteTime": 5.0}


def _the_programs_own_lines(insights: ApplicationInsightsIngestion) -> None:
    (message,) = insights.by_type("MessageData")
    assert message["message"] == "scheduler started with 10 jobs"
    assert message["properties"]["Version"] == "1.2.3"
    (error,) = insights.by_type("ExceptionData")
    assert error["exceptions"][0]["typeName"] == "RuntimeError"
    assert "no disk for ***" in error["exceptions"][0]["stack"]


def _nothing_that_should_not_be_there(insights: ApplicationInsightsIngestion) -> None:
    for item in insights.items:
        assert not any(value.strip("0") == "" for key, value in item["tags"].items() if key.startswith("ai.operation"))
        assert not any(key.startswith("ai.device") for key in item["tags"])
        assert item.get("sampleRate", 100.0) == 100.0
    assert CANARY not in json.dumps(insights.items)
    roles = {(item["tags"]["ai.cloud.role"], item["tags"]["ai.application.ver"]) for item in insights.items}
    assert roles == {("scheduler", "1.2.3")}
    assert {request.path.rpartition("/")[2] for request in insights.requests} == {"track"}


async def test_a_run_is_linked_with_its_caller_its_invocation_and_its_target(
    insights: ApplicationInsightsIngestion, tmp_path: Path
) -> None:
    await run_program(insights.connection_string, tmp_path, "traced")

    trace = f"{trace_id_of(RUN):032x}"
    spans = {item["data"]["baseData"]["name"]: item for item in of_type(insights, "RemoteDependencyData")}
    run, attempt, requested = (spans[name] for name in ("run checkout", "HTTP /health", "queue run checkout"))
    assert (run["tags"]["ai.operation.id"], run["data"]["baseData"]["id"]) == (trace, f"{span_id_of(RUN):016x}")
    assert attempt["data"]["baseData"]["id"] == f"{span_id_of(RUN, 1):016x}"
    assert (attempt["tags"]["ai.operation.id"], attempt["tags"]["ai.operation.parentId"]) == (
        trace,
        run["data"]["baseData"]["id"],
    )
    assert links(run) == [("a" * 32, "b" * 16)]
    assert run["data"]["baseData"]["properties"]["InvocationId"] == "invocation-1"
    assert (requested["tags"]["ai.operation.id"], requested["tags"]["ai.operation.parentId"]) == ("c" * 32, "d" * 16)
    assert links(requested) == [(trace, run["data"]["baseData"]["id"])]
    assert links(spans["tick"]) == [(trace, run["data"]["baseData"]["id"])] * MAX_LINKED_RUNS
    assert spans["tick"]["data"]["baseData"]["properties"]["PlannedRuns"] == "100"
    (event,) = (item for item in of_type(insights, "EventData") if item["data"]["baseData"]["name"] == "JobRun")
    assert event["tags"]["ai.operation.id"] == trace
    assert event["data"]["baseData"]["properties"]["InvocationId"] == "invocation-1"


RUN = runs.ticket().id


def links(item: dict[str, Any]) -> list[tuple[str, str]]:
    found = json.loads(item["data"]["baseData"]["properties"]["_MS.links"])
    return [(link["operation_Id"], link["id"]) for link in found]


async def test_by_default_ordinary_runs_have_few_rows_that_stand_for_all(
    insights: ApplicationInsightsIngestion, tmp_path: Path
) -> None:
    """Of ten jobs 17 ordinary runs each, one after a retry, one failed, one left out."""
    observed = await run_program(insights.connection_string, tmp_path, "usual")

    events, rows = of_type(insights, "EventData"), of_type(insights, "AvailabilityData")
    reported = [each for each in events if each["data"]["baseData"]["name"] == "JobRun"]
    assert _item_counts(reported, "Outcome") == {"succeeded": 180, "failed": 10, "skipped": 10}
    assert _item_counts(rows, "Outcome") == {"succeeded": 180, "failed": 10}
    assert (len(reported), len(rows)) == (50, 40)
    assert len(by_trace(insights.items)) == 20
    _metrics(insights, by_default=True)
    assert observed["health"]["dropped"] == 0


def _item_counts(items: list[dict[str, Any]], key: str) -> dict[str, int]:
    """As Azure does it: a row stands for 100 / sampleRate."""
    counts: Counter[str] = Counter()
    for item in items:
        counts[item["data"]["baseData"]["properties"][key]] += round(100 / item.get("sampleRate", 100.0))
    return counts


@pytest.mark.parametrize(
    ("environ", "role"),
    [
        ({"OTEL_SERVICE_NAME": "payments"}, "payments"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=orders"}, "orders"),
        ({"WEBSITE_SITE_NAME": "my-site"}, "my-site"),
    ],
)
async def test_the_cloud_role_is_the_services_name(
    insights: ApplicationInsightsIngestion, environ: dict[str, str], role: str, tmp_path: Path
) -> None:
    await run_program(insights.connection_string, tmp_path, **environ)
    assert {item["tags"]["ai.cloud.role"] for item in insights.items} == {role}


@pytest.mark.parametrize("status", [500, 429, 400])
async def test_an_endpoint_that_refuses_delays_no_one(
    insights: ApplicationInsightsIngestion, status: int, tmp_path: Path
) -> None:
    insights.refuse_with(status)
    observed = await run_program(insights.connection_string, tmp_path)
    assert (observed["before_close"], observed["health"]["sent"]) == ("degraded", 0)
    assert observed["health"]["last_error"] == f"track: answered {status}"
    assert (observed["health"]["dropped"] > 0) is (status == 400)
    assert (observed["health"]["waiting"] > 0) is (status != 400)
    assert observed["offered_s"] < 0.2
    assert observed["closed_s"] < CLOSE_WITHIN + 15


async def test_an_endpoint_that_is_missing_delays_no_one(tmp_path: Path) -> None:
    async with refused_port() as server:
        observed = await run_program(elsewhere(server.url), tmp_path)
    assert (observed["before_close"], observed["health"]["sent"]) == ("degraded", 0)
    assert "refused" in observed["health"]["last_error"]
    assert observed["closed_s"] < CLOSE_WITHIN + 15


async def test_a_black_hole_is_left_in_time(tmp_path: Path) -> None:
    async with black_hole() as server:
        observed = await run_program(elsewhere(server.url), tmp_path, "impatient")
    assert observed["offered_s"] < 0.2
    assert observed["closed_s"] < CLOSE_WITHIN + 15


async def test_what_was_refused_is_stored_and_sent_when_the_endpoint_is_back(
    insights: ApplicationInsightsIngestion, tmp_path: Path
) -> None:
    insights.refuse_with(503, times=1)
    observed = await run_program(insights.connection_string, tmp_path)
    assert observed["health"]["state"] == "on"
    _custom_events(insights)
    _availability_rows(insights)
    _metrics(insights)
    assert (observed["health"]["dropped"], observed["health"]["waiting"]) == (0, 0)


async def test_where_the_host_has_configured_opentelemetry_it_is_used_as_it_is(
    insights: ApplicationInsightsIngestion, tmp_path: Path
) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "microsoft.fixed_percentage", "OTEL_TRACES_SAMPLER_ARG": "1.0"}
    environ = {**insights.environ, **sampler}
    await run_program(insights.connection_string, tmp_path, "configured", **environ)
    assert Counter(event["name"] for event in insights.by_type("EventData")) == {"JobRun": 200, "JobDeadLettered": 1}
    assert len(insights.by_type("AvailabilityData")) == 190
    assert len(by_trace(insights.items)) == 200


def test_every_instrumentation_of_the_distro_is_named() -> None:
    from azure.monitor.opentelemetry._constants import _ALL_SUPPORTED_INSTRUMENTED_LIBRARIES

    assert set(_ALL_SUPPORTED_INSTRUMENTED_LIBRARIES) <= set(sdk_setup.INSTRUMENTATIONS)


@pytest.mark.parametrize(
    ("status", "body", "state", "sent", "dropped"),
    [
        (200, '{"itemsReceived": 3, "itemsAccepted": 3, "errors": []}', "on", 3, 0),
        (206, '{"itemsReceived": 3, "itemsAccepted": 2, "errors": []}', "degraded", 2, 1),
        (307, "", "on", 0, 0),
        (439, "over quota", "degraded", 0, 1),
        (503, "<html>", "degraded", 0, 0),
    ],
)
def test_answers_are_counted(status: int, body: str, state: str, sent: int, dropped: int) -> None:
    tally = DeliveryCounts("x", Redactor())
    sdk_setup._count_response(tally, status, body)
    health = tally.health()
    assert (health.state, health.sent, health.dropped) == (state, sent, dropped)
