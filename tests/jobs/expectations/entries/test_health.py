"""The entry `health`: what a health document makes of a run, and how its message names the cause."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.expectations import judge
from jobs.expectations.judging import describe_degraded, describe_unmet
from jobs.redaction import Redactor
from jobs.runs import Observation, Severity
from tests.jobs.expectations.helpers import answer, entries, failure, failures


def report(**statuses: str) -> str:
    """A report of ASP.NET Core; the whole has the worst status, as the framework computes it."""
    rank = ["Healthy", "Degraded", "Unhealthy"]
    whole = max(statuses.values(), key=rank.index, default="Healthy")
    return json.dumps({"status": whole, "entries": {name: {"status": status} for name, status in statuses.items()}})


def message(observed: Observation, **rules: Any) -> str:
    found = failures(observed, {"health": "aspnet", **rules})
    if all(one.severity is Severity.DEGRADED for one in found):
        return describe_degraded(found)
    return describe_unmet(observed, found)[1]


SLOW = {"status": "Healthy", "entries": {"cosmosdb": {"status": "Healthy", "duration": "00:00:23.1"}}}
TIMEOUT = {
    "status": "Unhealthy",
    "entries": {"cosmosdb": {"status": "Unhealthy", "description": "timeout", "duration": "00:00:23.1"}},
}


def test_a_healthy_document_holds() -> None:
    assert failures(answer(report(db="Healthy")), {"health": "aspnet"}) == ()


def test_a_plain_status_is_a_document_of_aspnet() -> None:
    assert failures(answer("Healthy"), {"health": "aspnet"}) == ()
    assert message(answer("Unhealthy", 503)) == "Answered 503: Unhealthy, the document has no entries."


def test_the_message_names_the_entry_with_its_text_and_duration() -> None:
    assert message(answer(json.dumps(TIMEOUT))) == "Unhealthy because of cosmosdb (timeout, 23.1 s)."


def test_a_503_with_a_document_says_the_entries() -> None:
    observed = answer(json.dumps(TIMEOUT), 503, reason="Service Unavailable")
    assert message(observed) == "Answered 503 Service Unavailable: Unhealthy because of cosmosdb (timeout, 23.1 s)."


def test_degraded_degrades() -> None:
    found = failure(answer(report(db="Healthy", redis="Degraded")), {"health": "aspnet"})
    assert (found.severity, found.observed) == (Severity.DEGRADED, "Degraded because of redis")


def test_degraded_with_another_status_than_2xx_fails() -> None:
    assert failure(answer(report(redis="Degraded"), 503), {"health": "aspnet"}).severity is Severity.FAIL


def test_a_healthy_document_does_not_excuse_the_status() -> None:
    found = message(answer(report(db="Healthy"), 500, reason="Oops"))
    assert found == "Answered 500 Oops, expected 2xx (its health document reports Healthy)."


def test_an_ignored_entry_does_not_count_through_the_status_of_the_whole() -> None:
    observed = answer(report(mail="Unhealthy", db="Healthy"), 503)
    assert failures(observed, {"health": "aspnet", "ignore": ["mail"]}) == ()


def test_an_ignored_entry_does_not_excuse_another_one() -> None:
    observed = answer(report(mail="Unhealthy", db="Unhealthy"), 503)
    assert failure(observed, {"health": "aspnet", "ignore": ["mail"]}).observed == "Unhealthy because of db"


def test_the_severity_of_an_entry_replaces_its_own() -> None:
    rules = {"health": "aspnet", "severities": {"search": "degraded", "redis": "down"}}
    assert failure(answer(report(search="Unhealthy")), rules).severity is Severity.DEGRADED
    assert failure(answer(report(redis="Degraded")), rules).severity is Severity.FAIL


def test_the_severity_of_the_whole_entry_limits_it() -> None:
    found = failure(answer(report(db="Unhealthy")), {"health": "aspnet", "severity": "degraded"})
    assert found.severity is Severity.DEGRADED


def test_a_required_entry_that_is_missing_fails() -> None:
    assert message(answer(report(db="Healthy")), require=["cosmosdb"]) == (
        "Healthy, but cosmosdb (required, but not in the document)."
    )


def test_a_slow_entry_degrades() -> None:
    assert message(answer(json.dumps(SLOW)), max_duration="5s") == "Healthy, but cosmosdb (took 23.1 s, at most 5 s)."
    assert failures(answer(json.dumps(SLOW)), {"health": "aspnet", "max_duration": "30s"}) == ()


def test_a_name_stands_for_the_components_below_it() -> None:
    nested = {"status": "DOWN", "components": {"db": {"status": "DOWN", "components": {"a": {"status": "DOWN"}}}}}
    observed = answer(json.dumps(nested), 503)
    assert failures(observed, {"health": "spring", "ignore": ["db"], "require": ["db"]}) == ()
    assert failure(observed, {"health": "spring", "ignore": ["d"]}).observed == "DOWN because of db/a"
    assert failures(observed, {"health": "spring", "ignore": ["*/a"]}) == ()


def test_a_status_that_no_entry_explains_counts() -> None:
    hidden = answer(json.dumps({"status": "Unhealthy", "entries": {"db": {"status": "Degraded"}}}))
    found = failure(hidden, {"health": "aspnet"})
    assert (found.severity, found.observed) == (
        Severity.FAIL,
        "Unhealthy without an entry that explains it; also db (Degraded)",
    )


def test_unknown_entries_do_not_count_and_an_unknown_whole_degrades() -> None:
    mixed = answer(json.dumps({"status": "UP", "components": {"mail": {"status": "UNKNOWN"}}}))
    assert failures(mixed, {"health": "spring"}) == ()
    assert failure(answer('{"status": "UNKNOWN"}'), {"health": "spring"}).severity is Severity.DEGRADED


def test_a_message_names_five_entries_the_worst_first() -> None:
    many = {f"e{number}": "Degraded" for number in range(6)} | {"worst": "Unhealthy"}
    assert message(answer(report(**many))).startswith("Unhealthy because of worst, e0 (Degraded), e1")
    assert message(answer(report(**many))).endswith("and 2 more.")


NO_DOCUMENT = "Not as expected: health document: expected a health document of ASP.NET Core"


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (
            "<html>",
            200,
            f"{NO_DOCUMENT}, observed not JSON",
        ),
        ("<html>", 503, "Answered 503, expected 2xx or a health document of ASP.NET Core."),
        (
            "",
            200,
            f"{NO_DOCUMENT}, observed an empty body.",
        ),
        ('{"status": NaN}', 200, f"{NO_DOCUMENT}, obser"),
        ("[" * 100_000, 200, f"{NO_DOCUMENT}, observed"),
        (
            "[1]",
            200,
            f"{NO_DOCUMENT}, observed JSON that",
        ),
    ],
)
def test_an_answer_without_a_document_says_so(body: str, status: int, expected: str) -> None:
    assert message(answer(body, status)).startswith(expected)


def test_texts_of_the_target_are_escaped_redacted_and_short() -> None:
    redactor = Redactor()
    redactor.add_permanent("correct-horse-battery")
    hostile = {"status": "Unhealthy\x1b", "entries": {"db\n\x1b[31m": {"status": "Unhealthy", "error": "x" * 5000}}}
    hostile["entries"]["b"] = {"status": "Unhealthy", "error": "pwd correct-horse-battery"}  # type: ignore[index]
    (found,) = judge(answer(json.dumps(hostile)), entries({"health": "aspnet"}), redactor.redact)
    assert "\x1b" not in found.observed
    assert "\n" not in found.observed
    assert "correct-horse" not in found.observed
    assert len(found.observed) < 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"health": "rails"},
        {"health": "aspnet", "severities": {"a": "fail"}},
        {"health": "aspnet", "max_duration": "0s"},
    ],
)
def test_an_unknown_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="health"):
        entries(wrong)


def test_options_that_are_not_set_are_not_written() -> None:
    (entry,) = entries({"health": "auto", "ignore": ["mail"]})
    assert entry.model_dump() == {"health": "auto", "ignore": ("mail",)}
