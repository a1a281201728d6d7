"""Results as JUnit XML: the attributes that Jenkins' schema demands, and hostile texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.definition import JobDefinition
from jobs.runs import Attempt, ErrorClass, Failure, Outcome, Phases, Run, Trigger
from scheduler.features.trials.junit import write_junit
from scheduler.features.trials.running import TrialResult

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
REQUIRED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "testcase": {"name", "classname", "time"},
    "failure": {"type", "message"},
    "skipped": {"message"},
    "system-out": set(),
}
OPTIONAL = {"testsuites": {"skipped"}}
CHILDREN = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}, "testcase": {"failure", "skipped", "system-out"}}


def check_schema(element: ElementTree.Element) -> None:
    """By junit-10.xsd of Jenkins' xUnit plug-in, as far as it concerns these elements."""
    assert set(element.attrib) - OPTIONAL.get(element.tag, set()) == REQUIRED[element.tag]
    assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
    for name in ("tests", "failures", "errors", "skipped"):
        assert element.attrib.get(name, "0").isdigit()
    float(element.attrib.get("time", "0"))
    for child in element:
        check_schema(child)


def job(name: str) -> JobDefinition:
    return JobDefinition.model_validate({"name": name, "schedule": None, "check": {"url": "https://shop.example/"}})


def result(name: str, outcome: Outcome | None = Outcome.SUCCEEDED, message: str = "", body: str = "") -> TrialResult:
    if outcome is None:
        return TrialResult(job(name), None, message)
    failures = (Failure("status", "200", message),) if message else ()
    attempt = Attempt(1, NOW, Phases(total_ms=12.0), 503, ErrorClass("unexpected_status"), message, failures, body=body)
    error = None if outcome is Outcome.SUCCEEDED else ErrorClass("unexpected_status")
    end = NOW + timedelta(seconds=1.5)
    return TrialResult(
        job(name), Run("i", name, Trigger.MANUAL, outcome, NOW, NOW, end, (attempt,), error=error, message=message)
    )


def read(results: list[TrialResult], origin: str = "jobs/shop.yaml:3") -> ElementTree.Element:
    root = ElementTree.fromstring(write_junit(results, {each.job.name: origin for each in results}, NOW))
    check_schema(root)
    return root


def test_the_counts_and_the_details_of_a_failure() -> None:
    root = read(
        [
            result("a"),
            result("b", Outcome.FAILED, "Answered 503, expected 2xx.", "sorry"),
            result("c", None, "the job is disabled"),
            result("d", Outcome.SUCCEEDED, "degraded"),
        ]
    )

    (suite,) = root
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) == ("4", "1", "1")
    assert suite.attrib["time"] == "4.500"
    assert suite.attrib["timestamp"] == "2026-11-28T12:00:00"
    failure = root.find(".//testcase[@name='b']/failure")
    assert failure is not None
    assert failure.attrib == {"type": "unexpected_status", "message": "Answered 503, expected 2xx."}
    assert (failure.text or "").splitlines() == [
        "attempt 1 (12 ms, status 503): Answered 503, expected 2xx.",
        "  status: expected 200, observed Answered 503, expected 2xx.",
        "  body: sorry",
    ]
    assert root.find(".//testcase[@name='d']/system-out") is not None


@pytest.mark.parametrize(
    ("origin", "name", "class_name"),
    [
        ("jobs/shop.yaml:3", "jobs/shop.yaml", "jobs.shop"),
        ("shop.eu.yml:3", "shop.eu.yml", "shop_eu"),
        ("../x/shop.json:1", "../x/shop.json", "x.shop"),
    ],
)
def test_the_class_is_the_file(origin: str, name: str, class_name: str) -> None:
    (suite,) = read([result("a")], origin)

    assert suite.attrib["name"] == name
    assert suite[0].attrib["classname"] == class_name


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=40))
def test_any_text_of_a_target_is_well_formed(text: str) -> None:
    read([result("a", Outcome.FAILED, text, text), result("b", Outcome.SUCCEEDED, text), result("c", None, text)])
