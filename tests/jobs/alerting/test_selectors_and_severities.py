"""Which jobs a selector selects, and which severities are in force."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from jobs.alerting.rule import SeverityDefinition, merge_severities
from jobs.alerting.selectors import AlertSelector

JOB = ("checkout-eu", {"team": "payments", "app": "checkout"}, "http")


@pytest.mark.parametrize(
    ("selector", "is_selected"),
    [
        ({"all": True}, True),
        ({"jobs": "checkout-*"}, True),
        ({"jobs": ["router", "checkout-us"]}, False),
        ({"tags": {"team": "payments"}}, True),
        ({"tags": {"team": "pay*", "app": "*"}}, True),
        ({"tags": {"team": "payments", "tier": "*"}}, False),
        ({"kinds": ["http", "tcp"]}, True),
        ({"jobs": "checkout-*", "kinds": "tcp"}, False),
    ],
)
def test_it_selects_by_every_condition(selector: dict[str, object], is_selected: bool) -> None:
    assert AlertSelector.model_validate(selector).selects(*JOB) is is_selected


@pytest.mark.parametrize("selector", [{}, {"all": True, "jobs": "a"}])
def test_it_needs_one_meaning(selector: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AlertSelector.model_validate(selector)


def test_down_alone_counts_as_downtime_unless_a_file_changes_it() -> None:
    assert [each.name for each in merge_severities([]).values() if each.counts_as_downtime] == ["down"]
    changed = merge_severities([("degraded", SeverityDefinition(counts_as_downtime=True))])
    assert (changed["degraded"].rank, changed["degraded"].counts_as_downtime) == (10, True)


def test_a_new_severity_is_between_others() -> None:
    merged = merge_severities([("major", SeverityDefinition(rank=15))])
    assert list(merged) == ["info", "degraded", "major", "down", "blind"]


@pytest.mark.parametrize(
    ("definition", "message"), [({}, "has no rank: set one"), ({"rank": 20}, "down and major have the same rank 20")]
)
def test_a_new_severity_needs_a_rank_that_no_other_has(definition: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merge_severities([("major", SeverityDefinition(**definition))])
