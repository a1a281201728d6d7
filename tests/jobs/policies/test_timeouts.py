"""Deadlines that a job does not say are those of its check's kind."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.policies import Timeouts
from jobs.targets import HttpTarget


def timeouts(**written: object) -> Timeouts:
    return JobDefinition.model_validate({"name": "pay", "check": {"url": "http://a/"}, **written}).timeout


@pytest.fixture(autouse=True)
def _quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind with deadlines of its own."""
    monkeypatch.setattr(HttpTarget, "TIMEOUTS", Timeouts(attempt=5.0, run=60.0))


@pytest.mark.parametrize(
    ("written", "attempt", "run"),
    [
        ({}, 5.0, 60.0),
        ({"timeout": {}}, 5.0, 60.0),
        ({"timeout": {"attempt": "45s"}}, 45.0, 60.0),
        ({"timeout": {"run": "90s"}}, 5.0, 90.0),
        ({"timeout": {"run": "2s"}}, 5.0, 2.0),
        ({"timeout": {"attempt": "1s", "run": "2s"}}, 1.0, 2.0),
        ({"timeout": Timeouts(run=2.0)}, 5.0, 2.0),
    ],
    ids=str,
)
def test_each_deadline_that_is_not_reported_is_that_of_the_kind(
    written: dict[str, object], attempt: float, run: float
) -> None:
    filled = timeouts(**written)
    assert (filled.attempt, filled.run) == (attempt, run)


def test_an_attempt_longer_than_the_run_of_the_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"attempt \(2m\) is longer than run \(1m\): increase run"):
        timeouts(timeout={"attempt": "2m"})


def test_no_deadline_at_all_is_refused() -> None:
    with pytest.raises(ValidationError):
        timeouts(timeout=None)


def test_jobs_without_deadlines_of_their_own_share_one_value() -> None:
    assert timeouts() is HttpTarget.TIMEOUTS
