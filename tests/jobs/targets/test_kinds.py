"""A check's target is told apart by its kind."""

from __future__ import annotations

from typing import Any, Literal, get_args

import pytest
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.flat import convert_flat_job
from jobs.problems import validation_problems
from jobs.schedules import IntervalSchedule
from jobs.targets import TARGETS_BY_KIND, HttpTarget

PINGS: dict[str, Any] = {"kind": "heartbeat", "token": {"secret": "nightly-token"}, "period": "24h"}
CHECK_ALONE = (
    "check: 'https://checkout.internal/' is not a mapping of keys to values; "
    "write check: {url: https://checkout.internal/}"
)
BOTH = (
    "check: has both period and schedule: use period if a ping is due so long after the previous one, or schedule if "
    "pings are due at fixed times"
)
KINDS = ", ".join(TARGETS_BY_KIND)


def job(check: Any, **more: Any) -> JobDefinition:
    return JobDefinition.model_validate({"name": "nightly", "check": check, **more})


def problem(check: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        job(check)
    (one,) = validation_problems(caught.value, JobDefinition)
    return str(one)


def test_without_a_kind_it_is_http() -> None:
    check = job({"url": "https://checkout.internal/"}).check
    assert isinstance(check, HttpTarget)
    assert check.kind == "http"


def test_the_flat_form_is_http() -> None:
    flat = convert_flat_job("shop", {"Endpoint": "https://checkout.internal/", "HttpMethod": "GET", "AuthType": "none"})
    assert JobDefinition.model_validate(flat.definition).check.kind == "http"


@pytest.mark.parametrize("kind", list(TARGETS_BY_KIND))
def test_every_model_reports_its_kind(kind: str) -> None:
    annotation = TARGETS_BY_KIND[kind].model_fields["kind"].annotation
    assert annotation == Literal[kind]  # type: ignore[valid-type]
    assert get_args(annotation) == (kind,)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"kind": "htpp", "url": "x"}, f"check.kind: 'htpp' is not allowed, did you mean http? allowed: {KINDS}"),
        ({"kind": 5, "url": "x"}, f"check.kind: 5 is not allowed; allowed: {KINDS}"),
        ({"kind": ["http"], "url": "x"}, f"check.kind: a list is not allowed; allowed: {KINDS}"),
        ({"kind": None, "url": "x"}, f"check.kind: an empty value is not allowed; allowed: {KINDS}"),
        ({"token": {"secret": "x"}, "period": "24h"}, f"check.kind: is missing; one of {KINDS}"),
        ({"knid": "heartbeat", "period": "24h"}, "check.knid: unknown key, did you mean kind?"),
        ({}, "check.url: is missing"),
        ({"headers": {}}, "check.url: is missing"),
        ({"uri": "https://checkout.internal/"}, "check.uri: unknown key, did you mean url?"),
        (None, "check: an empty value is not a mapping of keys to values"),
        ("https://checkout.internal/", CHECK_ALONE),
    ],
    ids=str,
)
def test_a_wrong_or_missing_kind_is_reported_with_those_that_there_are(check: Any, message: str) -> None:
    assert problem(check) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"period": None}, "check: has neither period nor schedule: add period (such as 24h) or schedule"),
        ({"schedule": "0 0 3 * * *"}, BOTH),
        ({"period": "500ms"}, "check.period: 500ms is out of range: 1s to 366d"),
        ({"grace": "367d"}, "check.grace: 367d is out of range: 1s to 366d"),
        (
            {"token": "0123456789abcdef"},
            "check.token: must not contain a secret value; reference the secret by its name: {secret: NAME}",
        ),
        (
            {"url": "https://checkout.internal/"},
            "check.url: unknown key; known keys: kind, token, period, schedule, grace, max_duration, first_within",
        ),
    ],
    ids=str,
)
def test_a_heartbeat_that_is_written_wrong_is_refused_with_a_remedy(change: dict[str, Any], message: str) -> None:
    assert problem(PINGS | change) == message


def test_a_definition_can_be_written_and_read_back() -> None:
    schedule = {"cron": "0 0 3 * * *", "timezone": "Europe/Berlin"}
    one = job({**PINGS, "period": None, "schedule": schedule}, schedule={"every": "30s"})
    assert JobDefinition.model_validate(one.model_dump(mode="json", by_alias=True)) == one


def test_a_heartbeat_is_judged_each_minute_unless_the_job_reports_otherwise() -> None:
    assert job(PINGS).schedule == IntervalSchedule(60.0)
    assert job(PINGS, schedule="00:05:00").schedule == IntervalSchedule(300.0)
    assert job(PINGS, schedule=None).schedule is None
    assert job(PINGS, depends_on=["database"]).schedule is None


def test_an_http_job_that_rejects_schedule_has_none() -> None:
    assert job({"url": "https://checkout.internal/"}).schedule is None


def test_the_endpoint_names_the_secret_and_no_more() -> None:
    assert job(PINGS).check.endpoint == "heartbeat:nightly-token"


def test_the_schema_of_a_job_reports_each_kind() -> None:
    schema = JobDefinition.model_json_schema()
    members = [schema["$defs"][one["$ref"].rpartition("/")[2]] for one in schema["properties"]["check"]["oneOf"]]
    assert [member["properties"]["kind"]["const"] for member in members] == list(TARGETS_BY_KIND)
