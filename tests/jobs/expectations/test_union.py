"""How many entries one `expect` may have."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.expectations.union import MAX_EXPECTATIONS
from jobs.problems import validation_problems


def problem(definition: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        JobDefinition.model_validate({"name": "a", **definition})
    (one,) = validation_problems(caught.value, JobDefinition)
    return str(one)


def expect(count: int) -> list[dict[str, Any]]:
    return [{"body_contains": "x"}] * count


def steps(*counts: int) -> dict[str, Any]:
    made = [{"name": str(n), "url": "http://a.test/", "expect": expect(count)} for n, count in enumerate(counts)]
    return {"check": {"kind": "steps", "steps": made}}


def test_as_many_entries_as_are_allowed_are_accepted() -> None:
    JobDefinition.model_validate({"name": "a", "check": {"url": "http://a.test/"}, "expect": expect(MAX_EXPECTATIONS)})


def test_more_entries_are_refused_with_a_remedy() -> None:
    reported = problem({"check": {"url": "http://a.test/"}, "expect": expect(63)})
    assert "has 63 entries; at most 50 are allowed: combine some in one entry" in reported


def test_more_entries_are_refused_before_they_are_read() -> None:
    reported = problem({"check": {"url": "http://a.test/"}, "expect": [{"no": "entry"}] * 100_000})
    assert "has 100000 entries" in reported


def test_a_step_may_have_as_many_and_all_of_them_six_times_as_many() -> None:
    JobDefinition.model_validate({"name": "a", **steps(*[50] * 6)})
    assert "has 51 entries; at most 50" in problem(steps(51))
    assert "has 301 entries of expect in all steps together; at most 300" in problem(steps(*[50] * 6, 1))
