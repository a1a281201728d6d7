"""When a group is down."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.alerting.groups import AlertGroup, judge_group
from jobs.model_base import FILE_CONTEXT


def group(down_when: Any = "any", **more: Any) -> AlertGroup:
    return AlertGroup.model_validate({"jobs": {"all": True}, "down_when": down_when, **more}, context=FILE_CONTEXT)


@pytest.mark.parametrize(
    ("down_when", "members", "is_met"),
    [
        ("any", "+-+", True),
        ("any", "+++", False),
        ("all", "---", True),
        ("all", "--?", True),
        ("all", "--+", False),
        ({"at_least": 2}, "-+-", True),
        ({"at_least": 2}, "-++", False),
        ({"share": "50%"}, "-+", True),
        ({"share": "50%"}, "-++", False),
        ({"share": "0%"}, "+", False),
        ("any", "??", None),
    ],
)
def test_it_is_down_when_enough_jobs_are(down_when: Any, members: str, is_met: bool | None) -> None:
    states = {f"job-{index}": {"+": False, "-": True, "?": None}[letter] for index, letter in enumerate(members)}
    assert judge_group(group(down_when), states).is_met is is_met


def test_it_names_the_jobs_that_fail() -> None:
    verdict = judge_group(group({"at_least": 2}), {"b": True, "a": True, "c": False})
    assert verdict.evidence == "2 of 3 jobs fail: a, b; the group is down when at least 2 fail"


@pytest.mark.parametrize("down_when", ["some", {}, {"at_least": 1, "share": "50%"}, {"all": False}])
def test_it_needs_one_limit(down_when: Any) -> None:
    with pytest.raises(ValidationError):
        group(down_when)


def test_a_rule_that_counts_runs_does_not_apply() -> None:
    with pytest.raises(ValidationError, match="set down_when and for"):
        group(alerts=[{"open_after": 2}])
