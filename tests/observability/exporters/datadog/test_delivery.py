"""Datadog's real client against a played intake: what arrives, and what happens when the intake is not well."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from config.settings.model import DatadogSettings, Settings
from jobs.redaction import Redactor
from jobs.runs import Outcome
from observability.exporters import datadog
from observability.exporters.background import BackgroundExporter, DeliveryCounts, Pace
from observability.exporters.datadog import build_datadog_exporter
from observability.exporters.datadog_payloads import RETRY_WINDOW, IntakeKind, IntakePayload
from observability.exporters.outbox import unpack_list
from observability.exporters.spool_folder import SpooledRequest
from observability.telemetry import Telemetry
from tests.observability import runs
from tests.observability.fakes import until
from tests.parts.bad_servers import black_hole
from tests.parts.ingestion import DatadogIntake

CANARY = "canary-secret-value"


@pytest.fixture
async def intake() -> AsyncIterator[DatadogIntake]:
    async with DatadogIntake() as intake:
        yield intake


def exporter_for(intake: DatadogIntake, *, api_key: str | None = None, gather_s: float = 0.0) -> BackgroundExporter:
    key = api_key or intake.api_key
    options = {"api_key": key, "url": intake.url, "env": "test", "version": "1.2.3"}
    settings = Settings(datadog=DatadogSettings.model_validate(options))
    redactor = Redactor()
    redactor.add_permanent(CANARY)
    return build_datadog_exporter(settings, key, redactor, gather_seconds=gather_s)


def two_hundred() -> list[Any]:
    """Of ten jobs twenty runs each, the last of them failed."""
    now = datetime.now(UTC)
    outcomes = [Outcome.SUCCEEDED] * 19 + [Outcome.FAILED]
    return [
        runs.reported(runs.run(outcome, job=f"job-{number}", due_at=now, message=f"refused {CANARY}"))
        for outcome in outcomes
        for number in range(10)
    ]


async def test_two_hundred_runs_arrive_as_counts_lines_and_checks(intake: DatadogIntake) -> None:
    exporter = exporter_for(intake)
    exporter.start()
    for event in two_hundred():
        exporter.offer(event)
    await exporter.aclose(10)
    counted: Counter[str] = Counter()
    for series in intake.series:
        assert series["tags"][:2] == ["env:test", "service:scheduler"]
        counted[series["tags"][3]] += int(sum(point["value"] for point in series["points"]))
    assert counted == {"outcome:succeeded": 190, "outcome:failed": 10}
    durations = [
        value
        for entry in intake.distributions
        if entry["metric"] == "scheduler.job.duration"
        for _, points in entry["points"]
        for value in points
    ]
    assert len(durations) == 200
    assert Counter(line["Event"] for line in intake.logs) == {"JOB_PERFORMANCE": 200, "JOB_FAILED": 10}
    last = {check["tags"][3]: check["status"] for check in intake.checks}
    assert last == {f"job:job-{number}": 2 for number in range(10)}
    assert intake.refused == []
    assert (exporter.health().state, exporter.health().dropped) == ("on", 0)


async def test_each_event_of_the_program_arrives_once(intake: DatadogIntake) -> None:
    exporter = exporter_for(intake)
    telemetry = Telemetry([exporter], version="1.2.3")
    telemetry.start()
    telemetry.events.deployed("1.2.2")
    telemetry.events.job_set_changed("ab12", 0, 3, (1, 0, 0))
    await telemetry.aclose(10)
    assert [(each["aggregation_key"], each["alert_type"]) for each in intake.events] == [
        ("deployment", "info"),
        ("job set", "info"),
    ]
    assert intake.refused == []


async def test_no_secret_reaches_the_intake(intake: DatadogIntake) -> None:
    exporter = exporter_for(intake)
    exporter.start()
    exporter.offer(runs.reported(runs.run(Outcome.FAILED, due_at=datetime.now(UTC), message=f"refused {CANARY}")))
    exporter.offer(runs.retried(message=CANARY))
    await exporter.aclose(10)
    sent = json.dumps([intake.logs, intake.checks, intake.series, intake.distributions])
    assert "refused ***" in sent
    assert CANARY not in sent


async def test_points_of_two_deliveries_do_not_replace_each_other(intake: DatadogIntake) -> None:
    exporter = exporter_for(intake)
    exporter.start()
    for sent in (1, 2, 3):
        exporter.offer(runs.reported())
        await until(lambda sent=sent: len(intake.series) == sent)  # type: ignore[misc]
    await exporter.aclose(10)
    instants = [series["points"][0]["timestamp"] for series in intake.series]
    assert len(set(instants)) == 3


async def test_bodies_are_compressed_where_the_intake_takes_it(intake: DatadogIntake) -> None:
    exporter = exporter_for(intake)
    exporter.start()
    exporter.offer(runs.reported())
    await exporter.aclose(10)
    encodings = {request.path: request.headers.get("content-encoding") for request in intake.requests}
    assert encodings == {
        "/api/v2/series": "gzip",
        "/api/v1/distribution_points": "deflate",
        "/api/v1/check_run": None,
        "/api/v2/logs": "gzip",
    }


@pytest.mark.parametrize("status", [500, 429])
async def test_an_intake_that_is_not_well_delays_no_one_and_closing_is_bounded(
    intake: DatadogIntake, status: int
) -> None:
    intake.refuse_with(status)
    exporter = exporter_for(intake)
    exporter.start()
    started = time.monotonic()
    for event in two_hundred():
        exporter.offer(event)
    assert time.monotonic() - started < 20
    await until(lambda: exporter.health().state == "degraded")
    assert str(status) in exporter.health().last_error
    started = time.monotonic()
    await exporter.aclose(2)
    assert time.monotonic() - started < 20
    assert (exporter.health().sent, intake.series) == (0, [])
    assert exporter.health().dropped > 0


async def test_an_intake_that_is_down_makes_the_exporter_degraded(intake: DatadogIntake) -> None:
    intake.down = True
    exporter = exporter_for(intake)
    exporter.start()
    exporter.offer(runs.reported())
    await until(lambda: exporter.health().state == "degraded")
    await exporter.aclose(2)
    assert exporter.health().dropped > 0


async def test_what_was_refused_for_a_moment_is_sent_again_as_it_was(intake: DatadogIntake) -> None:
    intake.refuse_with(429, times=4, headers={"X-RateLimit-Reset": "0.01"})
    exporter = exporter_for(intake)
    exporter.start()
    exporter.offer(runs.reported())
    await until(lambda: bool(intake.series and intake.logs and intake.checks and intake.distributions))
    await until(lambda: exporter.health().state == "on")
    bodies = [request.body for request in intake.requests if request.path == "/api/v2/series"]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
    await exporter.aclose(10)


async def test_a_wrong_key_is_reported_without_showing_it(intake: DatadogIntake) -> None:
    exporter = exporter_for(intake, api_key="a-wrong-key-of-mine")
    exporter.start()
    exporter.offer(runs.reported())
    await exporter.aclose(10)
    health = exporter.health()
    assert (health.state, health.sent) == ("degraded", 0)
    assert "403" in health.last_error
    assert "a-wrong-key-of-mine" not in health.last_error


async def test_a_black_hole_is_left_in_time() -> None:
    async with black_hole() as hole:
        settings = Settings(datadog=DatadogSettings.model_validate({"api_key": "key-of-mine", "url": hole.url}))
        exporter = build_datadog_exporter(settings, "key-of-mine", Redactor(), gather_seconds=60)
        exporter.start()
        exporter.offer(runs.reported())
        started = time.monotonic()
        await exporter.aclose(0.3)
        assert time.monotonic() - started < 20


# --- Rejections -------------------------------------------------------------------------------------------------------


def request(size: int = 2) -> SpooledRequest:
    entries = [{"message": str(number)} for number in range(size)]
    return IntakePayload("logs", entries, time.time()).to_request(Pace())


def _intake() -> datadog.DatadogIntake:
    return datadog.DatadogIntake("logs", cast(Any, None), Pace())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, None])
def test_what_the_intake_can_accept_later_is_temporary(status: int | None) -> None:
    result = _intake().describe_error(request(), status, {"Retry-After": "7"})
    assert (result.is_temporary, result.rejected, result.retry_after_s) == (True, 0, 7.0)


@pytest.mark.parametrize("status", [400, 403, 404, 413])
def test_what_is_refused_for_good_is_counted(status: int) -> None:
    result = _intake().describe_error(request(3), status, {})
    assert (result.is_temporary, result.rejected, result.is_too_large) == (False, 3, status == 413)


def test_a_request_is_halved_and_a_single_entry_is_not() -> None:
    intake = _intake()
    halves = intake.split(request(5))
    assert [[entry["message"] for entry in unpack_list(half.body)] for half in halves] == [
        ["0", "1"],
        ["2", "3", "4"],
    ]
    assert [half.items for half in halves] == [2, 3]
    assert intake.split(request(1)) == []


@pytest.mark.parametrize("kind", RETRY_WINDOW)
def test_a_request_expires_when_its_intake_would_reject_it(kind: IntakeKind) -> None:
    made = IntakePayload(kind, [{}], 1000.0).to_request(Pace())
    assert made.expires_at == 1000.0 + RETRY_WINDOW[kind]


def test_one_lane_that_fails_retains_the_exporter_degraded() -> None:
    tally = DeliveryCounts("datadog", Redactor())
    tally.record_failure("logs: answered 429", "logs")
    tally.record_success(5, "series")
    assert tally.health().state == "degraded"
    tally.record_success(1, "logs")
    assert (tally.health().state, tally.health().last_error) == ("on", "logs: answered 429")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"X-Ratelimit-Reset": "3"}, 3.0),
        ({"Retry-After": "-1"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": f"Wed, 25 Nov {'9' * 20} 12:00:30 GMT"}, None),
    ],
)
def test_how_long_the_intake_requests_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert _intake().describe_error(request(), 429, headers).retry_after_s == seconds
