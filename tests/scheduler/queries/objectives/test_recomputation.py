"""A statement is recomputed from an export of runs: what is confirmed, and what is found to differ."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler.features.objectives.statements import WrongInput, read_export, read_statement, recompute_statement

EXCLUSION = {"from": "2026-10-03T02:00:00Z", "to": "2026-10-03T05:00:00Z", "reason": "window"}
STATEMENT: dict[str, Any] = {
    "objective": {"name": "shop", "counts": "runs", "degraded": "good"},
    "month": "2026-10",
    "from": "2026-10-01T00:00:00Z",
    "to": "2026-11-01T00:00:00Z",
    "valid": 3,
    "bad": 1,
    "attained": 0.666667,
    "jobs": [{"job": "api", "valid": 3, "good": 2, "bad": 1, "excluded": 1, "exclusions": [EXCLUSION]}],
}


def row(number: int, due: str, outcome: str = "succeeded", **more: object) -> dict[str, Any]:
    common = {"id": str(number), "job": "api", "due_at": due, "outcome": outcome, "trigger": "schedule"}
    return common | {"degraded": False} | more


ROWS = [
    row(1, "2026-10-01T00:00:00Z"),
    row(2, "2026-10-31T23:59:59.999Z", "failed"),
    row(3, "2026-10-05T00:00:00Z", degraded=True),
    row(4, "2026-10-03T02:00:00Z", "failed"),
    row(5, "2026-11-01T00:00:00Z", "failed"),
    row(6, "2026-10-05T00:00:00Z", "skipped", degraded=None),
    row(7, "2026-10-05T00:00:00Z", "failed", trigger="backfill"),
    row(8, "2026-10-05T00:00:00Z", "failed", job="other"),
    row(9, "2026-10-05T00:00:00Z", "running"),
]


def test_the_numbers_of_a_statement_follow_from_the_runs() -> None:
    assert recompute_statement(STATEMENT, [*ROWS, ROWS[1]]).differences == ()


def test_a_run_that_is_missing_or_changed_is_found() -> None:
    found = recompute_statement(STATEMENT, ROWS[1:])
    assert found.differences == (
        "api: valid is 3 in the statement, and 2 in the export",
        "api: good is 2 in the statement, and 1 in the export",
        "all jobs: valid is 3 in the statement, and 2 here",
        "all jobs: attained is 0.666667 in the statement, and 0.5 here",
    )


def test_a_degraded_run_counts_as_the_statement_says() -> None:
    objective = {**STATEMENT["objective"], "degraded": "bad"}
    assert recompute_statement({**STATEMENT, "objective": objective}, ROWS).counts.bad == 2


def test_both_forms_of_an_export_are_read() -> None:
    lines = [json.dumps(ROWS[0]), '{"complete":true,"rows":1}']
    table = ["id,job,due_at,outcome,trigger,degraded", "1,api,2026-10-01T00:00:00Z,succeeded,schedule,false"]
    assert list(read_export(lines)) == [ROWS[0]]
    assert [each["id"] for each in read_export([*table, "# complete,1"])] == ["1"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "not an export of runs"),
        (["a,b"], "not an export of runs"),
        (['{"id":"1"}'], "incomplete"),
        (['{"complete":false,"rows":0}'], "incomplete"),
        (["id,due_at", "# incomplete,0"], "incomplete"),
        (['{"id":"1"}', "["], "not a JSON object"),
    ],
)
def test_what_is_not_a_complete_export_is_refused(lines: list[str], message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        list(read_export(lines))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not JSON"),
        ("{}", "not a statement"),
        (json.dumps(STATEMENT | {"objective": {"counts": "time"}}), "counts time"),
    ],
)
def test_what_is_not_a_statement_of_runs_is_refused(text: str, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        read_statement(text)


def test_a_row_without_a_value_is_named() -> None:
    with pytest.raises(WrongInput, match="outcome"):
        recompute_statement(STATEMENT, [{"id": "1", "job": "api"}])
