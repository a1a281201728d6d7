"""Limits are said as the value beside them is written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.model_base import FILE_CONTEXT
from jobs.problems import validation_problems


def problems(**keys: Any) -> list[str]:
    job = {"name": "shop", "check": {"url": "https://shop.internal/"}, **keys}
    with pytest.raises(ValidationError) as refused:
        JobDefinition.model_validate(job, context=FILE_CONTEXT)
    return [str(problem) for problem in validation_problems(refused.value, JobDefinition)]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"timeout": {"run": "10m"}}, "timeout.run: '10m' is too large: at most 8m"),
        ({"timeout": {"run": "600s"}}, "timeout.run: '600s' is too large: at most 480s"),
        ({"timeout": {"run": "1h30m"}}, "timeout.run: '1h30m' is too large: at most 8m"),
        ({"timeout": {"run": "1h"}}, "timeout.run: '1h' is too large: at most 8m"),
        ({"timeout": {"attempt": "0s"}}, "timeout.attempt: '0s' must be more than 0s"),
        ({"catch_up": {"within": "30d"}}, "catch_up.within: '30d' is too large: at most 7d"),
        ({"catch_up": {"within": "999h"}}, "catch_up.within: '999h' is too large: at most 168h"),
        ({"circuit": {"consecutive_failures": 1, "open_for": "2d"}}, "circuit.open_for: '2d' is too large: at most 1d"),
        (
            {"concurrency_group": {"name": "a", "wait": "90m"}},
            "concurrency_group.wait: '90m' is too large: at most 60m",
        ),
        ({"depends_on": [{"job": "a", "wait": "2h"}]}, "depends_on[0].wait: '2h' is too large: at most 1h"),
        ({"expect": [{"response_time_below": "0ms"}]}, "expect[0].response_time_below: '0ms' must be more than 0ms"),
        (
            {"circuit": {"slow_rate": 0.5, "slow_call": "0s"}},
            "circuit.slow_call: '0s' must be more than 0s",
        ),
        (
            {"check": {"url": "https://a.example/", "keep_body": "1MiB"}},
            "check.keep_body: '1MiB' is too large: at most 16KiB",
        ),
        (
            {"check": {"url": "https://a.example/", "keep_body": 20000}},
            "check.keep_body: 20000 is too large: at most 16KiB",
        ),
        (
            {"check": {"kind": "tcp", "host": "a.example", "port": 1, "read_limit": "65KiB"}},
            "check.read_limit: '65KiB' is too large: at most 64KiB",
        ),
        (
            {"check": {"kind": "tcp", "host": "a.example", "port": 1, "read_limit": "0B"}},
            "check.read_limit: '0B' is too small: at least 1B",
        ),
        ({"retry": {"attempts": 50}}, "retry.attempts: 50 is too large: at most 20"),
        ({"retry": {"multiplier": 50}}, "retry.multiplier: 50 is too large: at most 10"),
    ],
)
def test_a_limit_is_reported_in_the_unit_that_was_written(keys: dict[str, Any], problem: str) -> None:
    assert problem in problems(**keys)
