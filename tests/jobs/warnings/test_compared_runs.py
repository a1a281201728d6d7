"""Rules about usual response times of jobs that run too seldom for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jobs.warnings.helpers import warned


@pytest.mark.parametrize(
    ("schedule", "rule", "expected"),
    [
        ("every 1m", {}, ""),
        ("every 2m", {}, ""),
        ("every 5m", {}, "288 runs a day, so 1 h have fewer than 30"),
        ("every 5m", {"window": "3h"}, ""),
        ("every 5m", {"minimum_runs": 12}, ""),
        ("0 0 3 * * *", {"window": "24h"}, "1 run a day, so 1 d have fewer than 30"),
    ],
)
def test_a_rule_that_never_has_enough_runs_is_reported(schedule: str, rule: dict[str, Any], expected: str) -> None:
    found = warned(schedule=schedule, alerts=[{"when": {"slower_than_usual": "50%", **rule}}])
    assert ([expected in each for each in found] == [True]) if expected else found == []
