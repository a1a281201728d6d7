"""What docs/alerting.md says about rules is what the rules do."""

from __future__ import annotations

import re

import pytest
import yaml

from jobs.alerting.conditions.union import CONDITIONS
from jobs.alerting.rule import AlertRule
from jobs.definition.alerting_registry import SECTION_PARTS
from tests.docs.pages import ROOT
from tests.jobs.alerting.alert_samples import START, rule_of, samples, states_after

PAGE = (ROOT / "docs/alerting.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def worked_examples() -> list[tuple[str, str, str]]:
    """The rows whose runs are letters: rule, runs, what the alert does."""
    return [
        (row[0].strip("`"), row[1].replace(" ", ""), row[2])
        for row in rows()
        if len(row) == 3 and re.fullmatch(r"[FSD]( [FSD])+", row[1])
    ]


@pytest.mark.parametrize(("rule", "letters", "text"), worked_examples())
def test_a_worked_example_is_what_happens(rule: str, letters: str, text: str) -> None:
    states = states_after(rule_of(**yaml.safe_load(f"{{{rule}}}")), samples(letters))
    fires = [alert.is_firing for alert in states]
    opened = fires.index(True)
    closed = next((minute for minute in range(opened, len(fires)) if not fires[minute]), None)

    assert re.findall(r"fires at 03:(\d\d)", text) == [f"{opened:02}"]
    assert re.findall(r"closes at 03:(\d\d)", text) == ([] if closed is None else [f"{closed:02}"])
    for since in re.findall(r"since 03:(\d\d)", text):
        failing_since = states[opened].failing_since
        assert failing_since is not None
        assert (failing_since - START).total_seconds() == int(since) * 60


def test_there_are_worked_examples() -> None:
    assert len(worked_examples()) >= 5


def test_each_condition_has_a_row_and_a_worked_example() -> None:
    first = [row[0] for row in rows()]
    for condition in CONDITIONS:
        named = [cell for cell in first if condition.condition_key() in cell]
        assert len(named) >= 2 or condition.condition_key() == "failed", condition


def test_each_key_of_a_rule_has_a_row() -> None:
    keys = {field.alias or name for name, field in AlertRule.model_fields.items()}
    assert keys <= {row[0].strip("`") for row in rows()}


def test_each_part_of_the_section_is_described() -> None:
    assert [part.key for part in SECTION_PARTS if f"`{part.key}`" not in PAGE and f"  {part.key}:" not in PAGE] == []
