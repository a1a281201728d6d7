"""All entries of a judgement share one budget of computing time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.expectations import judge
from jobs.expectations.budget import JUDGEMENT_SECONDS, BudgetExceeded, ComputeAllowance, JudgementBudget, use_budget
from jobs.expectations.engines.jsonpath import select_values
from jobs.expectations.engines.regular_expressions import search
from jobs.expectations.entry import MAX_JSON_VALUES, has_more_values
from jobs.expectations.judging import is_brief
from jobs.runs import Severity
from tests.jobs.expectations.helpers import answer, entries, failure, failures
from tests.parts.timing import computes_below

ENDLESS = "a" * 40 + "!"
LONG_PATTERN = {"body_matches": "^(a|aa)+$"}


class Steps:
    """A clock that goes on by one second each time it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_what_is_not_decided_in_time_fails_with_the_entry_the_budget_and_a_remedy() -> None:
    expect = entries(*[{"body_contains": "ok"}] * 3, {"header": "x", "exists": True})
    with use_budget(JudgementBudget(2.5, clock=Steps())):
        (reported,) = judge(answer("ok"), expect)
    assert (reported.expectation, reported.severity) == ("judgement", Severity.FAIL)
    assert str(reported) == (
        "judgement: expected a decision on 4 entries, observed none on entry 3 (body_contains) and the 1 after it: "
        "stopped after 2.5 s of CPU time; simplify that entry, use fewer entries, or read less of the answer "
        "(read_limit)"
    )


def test_failures_that_were_found_before_the_end_are_reported() -> None:
    with use_budget(JudgementBudget(1.5, clock=Steps())):
        reported = judge(answer("down"), entries(*[{"body_contains": "ok"}] * 3))
    assert [one.expectation for one in reported] == ["body_contains", "judgement"]


def test_a_judgement_that_is_cut_short_fails_even_where_its_entries_only_degrade() -> None:
    with use_budget(JudgementBudget(0.5, clock=Steps())):
        (reported,) = judge(answer("ok"), entries({"body_contains": "ok", "severity": "degraded"}))
    assert reported.severity is Severity.FAIL


def test_a_budget_that_is_not_final_ends_the_judgement_for_another_caller() -> None:
    with use_budget(JudgementBudget(0.5, is_final=False, clock=Steps())), pytest.raises(BudgetExceeded):
        judge(answer("ok"), entries({"body_contains": "ok"}))


@pytest.mark.parametrize(
    ("entry", "body"),
    [
        (LONG_PATTERN, ENDLESS),
        ({"json": "$[?search(@, '^(a|aa)+$')]", "exists": False}, json.dumps([ENDLESS])),
        ({"json": "$[?$..a]", "exists": False}, json.dumps([{}] * 30_000)),
        ({"cel": "json.all(x, json.all(y, x + y >= 0))"}, json.dumps(list(range(95)))),
    ],
    ids=["pattern", "pattern in a filter", "query", "expression"],
)
def test_many_entries_take_no_longer_than_one_budget(entry: dict[str, Any], body: str) -> None:
    with computes_below(JUDGEMENT_SECONDS * 1.5):
        failures(answer(body), *[entry] * 50)


def test_an_allowance_is_its_own_bound_or_what_is_left() -> None:
    assert ComputeAllowance(0.1).seconds == 0.1
    with use_budget(JudgementBudget(60)):
        assert ComputeAllowance(0.1).seconds == 0.1
    with use_budget(JudgementBudget(0.01)):
        assert ComputeAllowance(0.1).seconds <= 0.01
    with use_budget(JudgementBudget(0)), pytest.raises(BudgetExceeded):
        ComputeAllowance(0.1)


def test_a_pattern_or_a_query_that_meets_the_end_of_the_judgement_does_not_blame_itself() -> None:
    with use_budget(JudgementBudget(0.01)), pytest.raises(BudgetExceeded):
        search("^(a|aa)+$", ENDLESS)
    with use_budget(JudgementBudget(0.01)), pytest.raises(BudgetExceeded):
        select_values("$[?search(@, '^(a|aa)+$')]", [ENDLESS])
    with use_budget(JudgementBudget(0.01)), pytest.raises(BudgetExceeded):
        select_values("$[?$..a]", [{}] * 30_000)


# --- sizes ---


@pytest.mark.parametrize(
    ("text", "count"),
    [("[]", 1), ("[1,2,3]", 3), ('{"a":1,"b":[2,3]}', 4), ('["a,b,[{\\",\\\\", "c", "[,"]', 3), ('["unclosed, , ,', 1)],
)
def test_values_are_counted_without_what_stands_in_texts(text: str, count: int) -> None:
    body = text.encode() + b" " * 20
    assert has_more_values(body, count) is False
    assert has_more_values(body, count - 1) is True


def test_values_of_a_document_in_utf_16_are_counted() -> None:
    assert has_more_values("[1,2,3,4]".encode("utf-16"), 3)
    assert not has_more_values('["1,2,3,4"]'.encode("utf-16"), 3)


def test_a_document_of_too_many_values_is_not_read() -> None:
    body = b"[" + b"[]," * MAX_JSON_VALUES + b"[]]"
    reported = failure(answer(body), {"json": "$[0]", "exists": False})
    assert reported.observed == "JSON with more than 1000000 values: reduce the answer of the target"


def test_a_document_of_too_many_values_for_an_expression_is_not_handed_over() -> None:
    reported = failure(answer(b"[" + b"1," * 201_000 + b"1]"), {"cel": "json[0] == 1"})
    assert "the document has more than 200000 values" in reported.observed


@pytest.mark.parametrize(
    ("entry", "largest"),
    [
        ({"status": 200}, None),
        ({"header": "x", "exists": True}, None),
        ({"min_body": 1}, None),
        ({"cel": "status == 200"}, None),
        ({"body_contains": "x"}, 256 * 1024),
        ({"body_hash": {"sha256": "0" * 64}}, 256 * 1024),
        ({"body_matches": "x"}, 32 * 1024),
        ({"json": "$.a", "exists": True}, 32 * 1024),
        ({"cel": "body == ''"}, 32 * 1024),
        ({"cel": "json == {}"}, 4 * 1024),
    ],
    ids=str,
)
def test_large_bodies_are_brief_only_for_entries_that_do_not_go_through_them(
    entry: dict[str, Any], largest: int | None
) -> None:
    expect = entries({"status": 200}, entry)
    assert is_brief(answer(b"x" * (largest or 16 * 1024 * 1024)), expect)
    if largest is not None:
        assert not is_brief(answer(b"x" * (largest + 1)), expect)
