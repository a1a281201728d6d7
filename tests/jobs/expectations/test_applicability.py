"""Entries that a check of another kind cannot have are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.problems import validation_problems

HTTP = {"kind": "http", "url": "http://checkout.internal/"}
HTTPS = {"url": "https://checkout.internal/"}
DNS = {"kind": "dns", "name": "checkout.internal"}
STEPS = {"kind": "steps", "steps": [{"name": "a", **HTTPS, "expect": [{"rcode": "NOERROR"}]}]}


def problem(check: dict[str, Any], *expect: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        JobDefinition.model_validate({"name": "checkout", "check": check, "expect": list(expect)})
    return str(validation_problems(caught.value, JobDefinition)[0])


@pytest.mark.parametrize(
    ("check", "expect", "message"),
    [
        (
            HTTP,
            {"rcode": "NOERROR"},
            "expect: rcode (entry 2) does not fit a check of kind http: it needs a DNS answer",
        ),
        (
            DNS,
            {"json": "$", "exists": True},
            "json (entry 2) does not fit a check of kind dns: it needs a JSON body",
        ),
        (DNS, {"error": "dns_failure"}, "error (entry 2) does not fit a check of kind dns: it needs a connection"),
        (HTTP, {"error": "secret_unavailable"}, "dns_failure"),
        (HTTP, {"error": []}, "too few"),
        (HTTP, {"certificate_valid_for": "14d"}, "certificate_valid_for (entry 2) needs a certificate, but an http://"),
    ],
    ids=str,
)
def test_an_entry_that_does_not_fit_is_refused(check: dict[str, Any], expect: dict[str, Any], message: str) -> None:
    assert message in problem(check, {"response_time_below": "1s"}, expect)


def test_an_entry_of_a_step_must_fit_its_request() -> None:
    assert "rcode (entry 1) does not fit a check of kind http" in problem(STEPS)


def test_a_step_cannot_await_that_no_answer_comes() -> None:
    step = {"name": "a", **HTTPS, "expect": [{"error": "connection_refused"}]}
    assert "error does not fit a step" in problem({"kind": "steps", "steps": [step]})


def test_an_entry_that_fits_is_accepted() -> None:
    expect = [{"certificate_valid_for": "14d", "severity": "degraded"}]
    job = JobDefinition.model_validate({"name": "checkout", "check": HTTPS, "expect": expect})
    assert [entry.severity for entry in job.expect] == ["degraded"]
