"""A run as attributes: what becomes a row, what a dependency shows of its target, and what it never shows."""

from __future__ import annotations

import json

import pytest

from jobs.redaction import Redactor
from jobs.runs import Outcome, Trigger
from observability.events import DeadLettered
from observability.exporters import application_insights
from observability.exporters.tracing import make_run_fields
from tests.observability import runs


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add_permanent("hunter-two")
    return redactor


def test_numbers_are_measurements_and_the_rest_is_properties(redactor: Redactor) -> None:
    event = application_insights.make_run_event(make_run_fields(runs.run(tags={"team": "payments"}), redactor))
    assert json.loads(str(event.pop("microsoft.custom_measurements"))) == {
        "Duration": 20.0,
        "ResponseTime": 12.0,
        "Lateness": 2.0,
        "Attempts": 1,
    }
    assert event == {
        "microsoft.custom_event.name": "JobRun",
        "JobName": "checkout",
        "RunId": "checkout@20310101T120000.000Z",
        "Trigger": "schedule",
        "Outcome": "succeeded",
        "Success": True,
        "Degraded": False,
        "StatusCode": 200,
        "Endpoint": "https://checkout.internal:8443/health",
        "Tags.team": "payments",
    }


@pytest.mark.parametrize(
    ("outcome", "success"),
    [
        (Outcome.SUCCEEDED, True),
        (Outcome.FAILED, False),
        (Outcome.TIMED_OUT, False),
        (Outcome.REJECTED, False),
        (Outcome.SKIPPED, None),
        (Outcome.CANCELLED, None),
    ],
)
def test_availability_counts_what_reports_something_about_the_target(
    outcome: Outcome, success: bool | None, redactor: Redactor
) -> None:
    run = runs.run(outcome)
    row = application_insights.make_availability_row(run, make_run_fields(run, redactor), "West Europe")
    assert (None if row is None else row["microsoft.availability.success"]) is success


def test_a_backfill_claims_no_availability(redactor: Redactor) -> None:
    run = runs.run(trigger=Trigger.BACKFILL)
    fields = make_run_fields(run, redactor)
    assert application_insights.make_availability_row(run, fields, "West Europe") is None
    assert application_insights.make_run_event(fields)["Trigger"] == "backfill"


def test_an_availability_row_reports_where_it_was_measured_and_why_it_failed(redactor: Redactor) -> None:
    run = runs.run(Outcome.FAILED, message="hunter-two refused", duration_ms=90_061_001.0)
    row = application_insights.make_availability_row(run, make_run_fields(run, redactor), "West Europe")
    assert row is not None
    assert row["microsoft.availability.runLocation"] == "West Europe"
    assert row["microsoft.availability.message"] == "*** refused"
    assert row["microsoft.availability.duration"] == "1.01:01:01.001"


def test_a_dead_letter_is_an_event_without_secrets(redactor: Redactor) -> None:
    event = application_insights.make_dead_letter_event(DeadLettered(runs.ticket(), "hunter-two is no body"), redactor)
    assert (event["microsoft.custom_event.name"], event["ErrorMessage"]) == ("JobDeadLettered", "*** is no body")


@pytest.mark.parametrize(
    ("endpoint", "url", "port"),
    [
        ("https://checkout.internal/health?token=abc#top", "https://checkout.internal/health", 443),
        ("http://me:pass@checkout.internal:81/", "http://checkout.internal:81/", 81),
        ("http://[::1]/", "http://[::1]/", 80),
    ],
)
def test_a_dependency_shows_its_target_without_query_and_credentials(endpoint: str, url: str, port: int) -> None:
    span = application_insights.make_attempt_span(runs.run(), runs.good_attempt(), endpoint)
    assert (span["url.full"], span["server.port"], span["http.response.status_code"]) == (url, port, 200)
    assert not [value for value in span.values() if "abc" in str(value) or "pass@" in str(value)]


@pytest.mark.parametrize("endpoint", ["", "tcp://database:5432", "http://[broken", "http://x:port/"])
def test_what_is_no_http_target_is_a_plain_span(endpoint: str) -> None:
    span = application_insights.make_attempt_span(runs.run(), runs.failed_attempt(), endpoint)
    assert (span["AttemptNumber"], span["ErrorType"]) == (1, "connection_refused")
    assert not [key for key in span if key.startswith(("http.", "url.", "server."))]


def test_only_phases_that_happened_are_measured() -> None:
    span = application_insights.make_attempt_span(runs.run(), runs.failed_attempt(), "")
    assert json.loads(str(span["microsoft.custom_measurements"])) == {"DnsTime": 1.0}


def test_an_unknown_run_is_named_as_such_and_has_no_availability_row(redactor: Redactor) -> None:
    fields = make_run_fields(runs.unknown(), redactor)
    event = application_insights.make_run_event(fields)
    assert (event["Outcome"], event["Reason"]) == ("skipped", "unknown")
    assert event["ErrorMessage"] == "403: grant Reader on /subscriptions/1."
    assert application_insights.make_availability_row(runs.unknown(), fields, "West Europe") is None
