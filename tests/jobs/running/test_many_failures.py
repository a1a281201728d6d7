"""Attempts of which very many expectations do not hold: some are kept, and the message counts the others."""

from __future__ import annotations

from jobs.expectations.judging import MAX_LISTED_FAILURES
from jobs.redaction import Redactor
from jobs.running.run_factories import build_attempt
from jobs.runs import Attempt, Failure, Severity
from tests.jobs.running.run_parts import answer
from tests.jobs.running.virtual_time import START


def attempt(*failures: Failure) -> Attempt:
    return build_attempt(1, START, answer(), failures, Redactor())


def failures(count: int, severity: Severity = Severity.FAIL) -> list[Failure]:
    return [Failure(f"body_contains '{number}'", "it", "nothing", severity) for number in range(count)]


def test_of_six_thousand_failures_fifty_are_stored_and_the_others_are_counted() -> None:
    made = attempt(*failures(6000))
    assert made.failures == tuple(failures(50))
    assert made.message.endswith("body_contains '49': expected it, observed nothing; and 5950 more.")


def test_fifty_failures_are_stored_as_they_are() -> None:
    made = attempt(*failures(50))
    assert len(made.failures) == MAX_LISTED_FAILURES
    assert "more" not in made.message


def test_what_decides_is_stored_rather_than_what_only_degrades() -> None:
    last = Failure("status", "201", "200")
    made = attempt(*failures(100, Severity.DEGRADED), last)
    assert made.failures == (*failures(49, Severity.DEGRADED), last)
    assert made.message == (
        "Answered 200, expected 201; also " + "; ".join(map(str, failures(50, Severity.DEGRADED))) + "; and 50 more."
    )


def test_failures_that_only_degrade_are_counted_likewise() -> None:
    made = attempt(*failures(60, Severity.DEGRADED))
    assert made.error is None
    assert len(made.failures) == MAX_LISTED_FAILURES
    assert made.message.endswith("; and 10 more.")
