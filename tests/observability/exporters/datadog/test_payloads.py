"""Events to Datadog's bodies: counts, spreads, checks and lines, within the intakes' limits and without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.model_utils import OpenApiModel
from datadog_api_client.v1.model.distribution_points_series import DistributionPointsSeries
from datadog_api_client.v1.model.service_check import ServiceCheck
from datadog_api_client.v2.model.http_log_item import HTTPLogItem
from datadog_api_client.v2.model.metric_series import MetricSeries

from jobs.redaction import Redactor
from jobs.runs import Outcome, Run, Trigger
from observability import names
from observability.events import DeadLettered, LogLine, Measurement, Measurements, TelemetryEvent
from observability.exporters.background import Pace
from observability.exporters.datadog_payloads import DatadogSource, IntakeKind, IntakePayload, build_payloads
from observability.sampling import RunReport
from scheduler.watchdog.report import WATCHDOG_GAUGES
from tests.observability import runs

GAUGES = {gauge.name: gauge for gauge in WATCHDOG_GAUGES}

AT = 1_925_035_300
IDENTITY = DatadogSource("prod", "scheduler", "1.2.3", "machine-1")
OF_METRICS = ["env:prod", "service:scheduler"]
"""Without the version, which would make each metric anew with each release."""
OURS = ["env:prod", "service:scheduler", "version:1.2.3"]


def made(*events: TelemetryEvent, redactor: Redactor | None = None) -> list[IntakePayload]:
    return build_payloads(events, IDENTITY, AT, redactor or Redactor(), Pace())


def entries(kind: IntakeKind, *events: TelemetryEvent, redactor: Redactor | None = None) -> list[dict[str, Any]]:
    return [entry for payload in made(*events, redactor=redactor) if payload.kind == kind for entry in payload.entries]


def finished(*outcomes: Outcome, **fields: Any) -> list[TelemetryEvent]:
    return [runs.reported(runs.run(outcome, **fields)) for outcome in outcomes]


def values(found: Sequence[dict[str, Any]], metric: str) -> list[float]:
    return [value for entry in found if entry["metric"] == metric for _, points in entry["points"] for value in points]


def test_nothing_happened_nothing_is_sent() -> None:
    assert made() == []


def test_runs_are_counted_by_job_outcome_and_trigger() -> None:
    events = finished(Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED)
    events += finished(Outcome.SUCCEEDED, job="other", trigger=Trigger.MANUAL)
    found = entries("series", *events)
    assert [(each["tags"][2:], each["points"]) for each in found] == [
        (
            ["job:checkout", "outcome:succeeded", "degraded:false", "trigger:schedule"],
            [{"timestamp": AT, "value": 2.0}],
        ),
        (["job:checkout", "outcome:failed", "degraded:false", "trigger:schedule"], [{"timestamp": AT, "value": 1.0}]),
        (["job:other", "outcome:succeeded", "degraded:false", "trigger:manual"], [{"timestamp": AT, "value": 1.0}]),
    ]
    assert found[0] == {
        "metric": "scheduler.job.runs",
        "type": 1,
        "interval": 10,
        "points": [{"timestamp": AT, "value": 2.0}],
        "tags": [*OF_METRICS, "job:checkout", "outcome:succeeded", "degraded:false", "trigger:schedule"],
        "resources": [{"type": "host", "name": "machine-1"}],
    }


def test_dead_letters_are_counted_by_job() -> None:
    (found,) = entries("series", DeadLettered(runs.ticket(), "delivered 5 times"))
    assert (found["metric"], found["tags"][2:]) == ("scheduler.job.dead_letters", ["job:checkout"])


def test_of_a_gauge_the_newest_value_is_sent_and_no_line_is_logged() -> None:
    gap, depth = (names.gauge_metric(GAUGES[name]) for name in ("tick_gap", "queue_depth"))
    first = Measurements((Measurement(gap, (1.0,)), Measurement(depth, (7.0,))))
    events = [first, Measurements((Measurement(gap, (2.5,)),))]

    assert entries("series", *events) == [
        {
            "metric": f"scheduler.watchdog.{name}",
            "type": 3,
            "points": [{"timestamp": AT, "value": value}],
            "tags": OF_METRICS,
            "resources": [{"type": "host", "name": "machine-1"}],
        }
        for name, value in (("tick_gap", 2.5), ("queue_depth", 7.0))
    ]
    assert entries("logs", *events) == []


def test_durations_and_lateness_keep_every_value() -> None:
    events = [runs.reported(runs.run(duration_ms=each)) for each in (10.0, 30.0, 20.0)]
    found = entries("distributions", *events)
    assert values(found, "scheduler.job.duration") == [10.0, 30.0, 20.0]
    assert values(found, "scheduler.job.lateness") == [2.0, 2.0, 2.0]
    assert values(found, "scheduler.job.response_time") == [12.0, 12.0, 12.0]
    assert values(found, "scheduler.job.attempts") == [1.0, 1.0, 1.0]


def test_a_run_that_was_skipped_has_no_duration() -> None:
    events = finished(Outcome.SKIPPED)
    assert entries("distributions", *events) == []
    assert len(entries("series", *events)) == 1


def test_a_rejected_run_requested_nothing_and_has_no_response_time() -> None:
    found = entries("distributions", *finished(Outcome.REJECTED))
    assert {each["metric"] for each in found} == {"scheduler.job.duration", "scheduler.job.lateness"}


def test_a_degraded_run_is_counted_as_such() -> None:
    (count,) = entries("series", runs.reported(runs.degraded()))
    assert count["tags"][len(OF_METRICS) :] == [
        "job:checkout",
        "outcome:succeeded",
        "degraded:true",
        "trigger:schedule",
    ]


RETRIED = (runs.failed_attempt(1), runs.good_attempt(2))


@pytest.mark.parametrize(
    ("run", "status"),
    [
        (runs.run(), 0),
        (runs.run(attempts=RETRIED), 1),
        (runs.degraded(), 1),
        (runs.run(Outcome.FAILED), 2),
        (runs.run(Outcome.TIMED_OUT), 2),
        (runs.run(Outcome.REJECTED), 2),
    ],
    ids=[
        "ok",
        "warning after retries",
        "warning when degraded",
        "critical",
        "critical when timed out",
        "critical while the circuit is open",
    ],
)
def test_a_service_check_reports_how_the_target_is(run: Run, status: int) -> None:
    (check,) = entries("checks", runs.reported(run))
    assert (check["check"], check["status"], check["tags"]) == ("scheduler.job.status", status, [*OURS, "job:checkout"])
    assert (check["timestamp"], check["host_name"]) == (AT, "scheduler")


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.CANCELLED])
def test_a_run_that_reports_nothing_about_its_target_leaves_the_check_alone(outcome: Outcome) -> None:
    assert entries("checks", *finished(outcome)) == []


def test_a_backfill_leaves_the_check_alone() -> None:
    assert entries("checks", runs.reported(runs.run(trigger=Trigger.BACKFILL))) == []


def test_of_several_runs_the_latest_is_the_check() -> None:
    later = runs.run(due_at=runs.DUE + timedelta(seconds=10))
    events = [runs.reported(later), *finished(Outcome.FAILED)]
    assert [check["status"] for check in entries("checks", *events)] == [0]


def test_the_jobs_own_tags_are_on_everything() -> None:
    events = finished(Outcome.SUCCEEDED, tags={"team": "payments"})
    for payload in made(*events):
        for entry in payload.entries:
            assert "team:payments" in (entry.get("tags") or entry["ddtags"].split(","))


def test_no_metric_is_tagged_with_a_run_or_a_url() -> None:
    events = [*finished(Outcome.SUCCEEDED, Outcome.FAILED), runs.retried()]
    tagged = [entry["tags"] for payload in made(*events) if payload.kind != "logs" for entry in payload.entries]
    assert not [tag for tags in tagged for tag in tags if "@" in tag or "//" in tag]


def test_a_tag_is_cut_to_what_datadog_takes() -> None:
    (found,) = entries("series", *finished(Outcome.SKIPPED, tags={"note": "x" * 300}))
    assert max(len(tag) for tag in found["tags"]) == 200


def test_a_log_entry_is_the_line_of_the_log() -> None:
    (entry,) = entries("logs", *finished(Outcome.SUCCEEDED))
    assert entry == {
        "message": "checkout succeeded in 20 ms, status 200",
        "ddtags": "env:prod,service:scheduler,version:1.2.3,job:checkout",
        "Event": "JOB_PERFORMANCE",
        "JobName": "checkout",
        "RunId": "checkout@20310101T120000.000Z",
        "Trigger": "schedule",
        "Outcome": "succeeded",
        "Lateness": 2.0,
        "Duration": 20.0,
        "Success": True,
        "Degraded": False,
        "ResponseTime": 12.0,
        "StatusCode": 200,
        "Attempts": 1,
        "status": "info",
        "timestamp": "2031-01-01T12:00:00.022+00:00",
        "ddsource": "scheduler",
        "service": "scheduler",
        "hostname": "machine-1",
    }


def test_a_failed_run_has_the_lines_that_the_log_has() -> None:
    found = entries("logs", runs.retried(), *finished(Outcome.FAILED))
    assert [(each["Event"], each["status"]) for each in found] == [
        ("JOB_RETRY", "warning"),
        ("JOB_PERFORMANCE", "info"),
        ("JOB_FAILED", "error"),
    ]


def test_a_warning_of_the_program_comes_with_its_traceback() -> None:
    try:
        raise RuntimeError("no disk")
    except RuntimeError as error:
        info = (RuntimeError, error, error.__traceback__)
    line = LogLine(runs.DUE, logging.ERROR, "scheduler.stores", "cannot write", exc_info=info)
    (entry,) = entries("logs", line)
    assert (entry["message"], entry["Logger"], "Event" in entry) == ("cannot write", "scheduler.stores", False)
    assert entry["Exception"].endswith("RuntimeError: no disk")


def test_no_body_holds_a_secret() -> None:
    redactor = Redactor()
    redactor.add_permanent("hunter-two")
    output = "token hunter-two refused"
    events: list[TelemetryEvent] = [
        *finished(Outcome.FAILED, message=output),
        runs.retried(message=output),
        DeadLettered(runs.ticket(), output),
        LogLine(runs.DUE, logging.ERROR, "x", output, exc_text=f"RuntimeError: {output}"),
    ]
    bodies = json.dumps([list(payload.entries) for payload in made(*events, redactor=redactor)])
    assert "hunter-two" not in bodies
    assert bodies.count("***") >= 7


def test_lines_are_split_by_number_and_by_size() -> None:
    many = [runs.reported() for _ in range(2500)]
    assert [len(each.entries) for each in made(*many) if each.kind == "logs"] == [1000, 1000, 500]
    large = finished(*[Outcome.FAILED] * 400, message="ü" * 8000)
    sizes = [len(json.dumps(list(each.entries))) for each in made(*large) if each.kind == "logs"]
    assert len(sizes) > 1
    assert max(sizes) < 5_000_000


def unparsed(model: Any) -> bool:
    """Whether Datadog's client finds anything in it that it does not know."""
    if isinstance(model, OpenApiModel):
        return bool(model._unparsed) or any(unparsed(each) for each in model._data_store.values())
    return any(unparsed(each) for each in model) if isinstance(model, list) else False


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("series", [MetricSeries]),
        ("distributions", [DistributionPointsSeries]),
        ("checks", [ServiceCheck]),
        ("logs", [HTTPLogItem]),
    ],
)
def test_datadogs_own_models_know_every_body(kind: IntakeKind, model: Any) -> None:
    events = [*finished(Outcome.SUCCEEDED, Outcome.FAILED, tags={"team": "payments"}), runs.retried()]
    client = ApiClient(Configuration())  # type: ignore[no-untyped-call]
    read = client.deserialize(json.dumps(entries(kind, *events)), (model,), True)
    assert read
    assert not unparsed(read)


def test_a_total_has_neither_the_job_nor_its_tags() -> None:
    report = RunReport(runs.run(tags={"team": "payments"}), metrics="total")
    (count,) = entries("series", report)
    assert count["tags"] == [*OF_METRICS, "outcome:succeeded", "degraded:false", "trigger:schedule"]
    assert {tuple(each["tags"][2:]) for each in entries("distributions", report)} == {("outcome:succeeded",), ()}


def test_by_job_are_the_runs_and_their_duration_alone() -> None:
    report = RunReport(runs.run(), metrics="job")
    by_job = {
        entry["metric"]
        for kind in ("series", "distributions")
        for entry in entries(kind, report)
        if "job:checkout" in entry["tags"]
    }
    assert by_job == {"scheduler.job.runs", "scheduler.job.duration"}


def test_a_run_without_rows_is_counted_and_retains_the_status_of_its_job_without_a_line() -> None:
    report = RunReport(runs.run(), events=0, availability=0, spans=False, metrics="job")
    assert entries("logs", report) == []
    assert len(entries("series", report)) == 1
    assert len(entries("checks", report)) == 1


def test_a_run_that_is_not_measured_has_its_line_alone() -> None:
    report = RunReport(runs.run(), check=False, metrics="none")
    assert [entries(kind, report) for kind in ("series", "distributions", "checks")] == [[], [], []]
    assert len(entries("logs", report)) == 1


def test_a_line_that_stands_for_several_runs_reports_for_how_many() -> None:
    (one,) = entries("logs", RunReport(runs.run()))
    (several,) = entries("logs", RunReport(runs.run(), events=15))
    assert "Runs" not in one
    assert several["Runs"] == 15


def test_an_unknown_run_has_its_reason_and_leaves_the_check_alone() -> None:
    report = runs.reported(runs.unknown())
    (series,) = entries("series", report)
    (line,) = entries("logs", report)
    assert series["metric"] == "scheduler.job.runs"
    assert {"outcome:skipped", "reason:unknown"} < set(series["tags"])
    assert line["Reason"] == "unknown"
    assert entries("checks", report) == []
