from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.expectations.engines.cel import CEL_VARIABLES, EVALUATE_SECONDS, inject_deadline_checks
from jobs.problems import validation_problems
from tests.jobs.expectations.helpers import ENTRIES, answer, certificate, entries, failure, failures
from tests.parts.timing import computes_below

ITEMS = answer('{"items": [{"id": 1, "ok": true}, {"id": 2, "ok": true}], "big": 123456789012345678901234567890}')
MANY = "[" + ",".join("1" for _ in range(90)) + "]"


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("size(json.items) > 0", True),
        ("json.items.all(i, i.ok)", True),
        ("json.items.exists(i, i.id == 3)", False),
        ("json.items.exists_one(i, i.id == 1)", True),
        ("json.items.map(i, i.id * 2) == [2, 4]", True),
        ("json.items.map(i, i.id > 1, i.id) == [2]", True),
        ("json.items.filter(i, i.id > 1 // the second\n).size() == 1", True),
        ("json.items.all(i, json.items.exists(j, j.id == i.id && ')' != '('))", True),
        ("status == 200 && response_time < 500 && body.contains('items')", True),
        ("!has(json.error) && !has(certificate.days_left) && headers == {}", True),
        ("json.big > 1.0", True),
    ],
)
def test_an_expression_is_true_or_false(expression: str, holds: bool) -> None:
    assert (failures(ITEMS, {"cel": expression}) == ()) is holds


def test_an_expression_knows_the_certificate() -> None:
    found = answer(certificates=(certificate(datetime.now(UTC) + timedelta(days=9, hours=1)),))
    assert failures(found, {"cel": "certificate.days_left == 9 && 'checkout.internal' in certificate.names"}) == ()


@pytest.mark.parametrize(
    ("status", "expression", "holds"),
    [
        (404, "status != 500", True),
        (500, "status != 500", False),
        (404, "string(status).startsWith('4')", True),
        (404, "json.status == 'ok'", False),
        (404, "json . status == 'ok'", False),
        (404, "body != 'status' // status", False),
        (404, "json.all(status, status != '')", False),
        (200, "json.status == 'ok'", True),
    ],
)
def test_an_expression_that_names_the_status_takes_the_place_of_the_2xx(
    status: int, expression: str, holds: bool
) -> None:
    assert (failures(answer('{"status": "ok"}', status), {"cel": expression}) == ()) is holds


def test_an_expression_that_only_degrades_leaves_the_2xx_in_force() -> None:
    unmet = failures(answer(status=503), {"cel": "status == 200 && response_time < 500", "severity": "degraded"})
    assert [failure.expectation for failure in unmet] == ["status", "cel"]


@pytest.mark.parametrize(
    ("body", "expression", "observed"),
    [
        ("{}", "json.a.b == 1", 'Key not found in map : "a"'),
        ('{"a": "x"}', "json.a", '"x", not true or false'),
        ('{"a": "x"}', "!json.a", "No matching overloads"),
        ("hello", "json.a == 1", "not JSON: 'hello'"),
        ("", "json.a == 1", "an empty body"),
        ('{"a": 1}', "json.a / 0 == 1", "divide by zero"),
        ("{}", "body.matches('(')", "missing )"),
        ("{}", "size(body) == 3", "false"),
    ],
)
def test_what_goes_wrong_is_a_failure_that_reports_what(body: str, expression: str, observed: str) -> None:
    assert observed in failure(answer(body), {"cel": expression}).observed


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("json.items.all(i, i > 1 && && 3)", "at column 28: Syntax error"),
        ("nosuch > 1", "undeclared reference to 'nosuch'; known: status, body, json"),
        ("status == 'a'", "at column 8: found no matching overload"),
        ("size(json)", "of type INT; expected true or false"),
        ("(" * 40 + "true" + ")" * 40, "nested too deeply"),
        ("status\n== 'a'", "at line 2, column 1: found no matching overload"),
        ("true || " * 125 + "true", "too long"),
        ("", "too short"),
        (5, "5 is not a text"),
    ],
    ids=str,
)
def test_an_expression_that_cannot_be_is_refused_with_its_place(expression: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        entries({"cel": expression})
    (problem,) = validation_problems(caught.value, ENTRIES._type)
    assert message in str(problem)


@pytest.mark.parametrize(
    "body",
    ["body.matches('b+c') || true", "size(body) > 0", "(body + body).matches('b+c') || true"],
)
def test_a_runaway_expression_is_abandoned_in_time(body: str) -> None:
    with computes_below(EVALUATE_SECONDS * 4):
        reported = failure(answer("a" * 1_000_000), {"cel": f"{MANY}.all(x, {MANY}.all(y, {body}))"})
    assert "takes too long" in reported.observed


def test_an_expression_with_too_many_rounds_is_abandoned() -> None:
    found = answer(json.dumps(list(range(3000))))
    reported = failure(found, {"cel": "json.all(x, json.all(y, x + y >= 0))"})
    assert "more than 10,000 rounds" in reported.observed


@pytest.mark.parametrize("body", ["[" * 500 + "]" * 500, '"' + "x" * (4 * 1024 * 1024) + '"'], ids=["deep", "large"])
def test_an_answer_that_is_too_much_is_reported_as_such(body: str) -> None:
    reported = failure(answer(body), {"cel": "json == json && body != ''"})
    assert "nested too deeply" in reported.observed or "larger than 4 MiB" in reported.observed


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON, st.text())
def test_no_answer_makes_an_expression_raise(document: Any, text: str) -> None:
    for body in (json.dumps(document, allow_nan=False) if "nf" not in repr(document) else "1", text):
        found = answer(body.encode("utf-8", "surrogatepass"), facts={"received": text})
        failures(found, {"cel": "json == json && facts.received != body"})


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert failures(answer(rb'{"s": "\ud800x"}'), {"cel": "json.s == '?x'"}) == ()


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("a.all(x, x > 1)", "a.all(x, _in_time() ? ( x > 1) : false)"),
        ("a.map(x, x)", "a.map(x, _in_time() ? (true) : false,  x)"),
        ("all(x)", "all(x)"),
        (r"r'\'.size() == 1", r"r'\'.size() == 1"),
        ("'.all(x, y)' == body", "'.all(x, y)' == body"),
        ('"""a".all(x, y)""" == body', '"""a".all(x, y)""" == body'),
    ],
)
def test_each_round_checks_the_clock(expression: str, written: str) -> None:
    assert inject_deadline_checks(expression) == written


def test_the_library_is_imported_with_the_first_expression_only() -> None:
    program = "import sys, jobs.definition; print('cel_expr_python' in sys.modules)"
    reported = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert reported.stdout.strip() == "False"


def test_the_page_of_jobs_names_every_variable() -> None:
    page = (Path(__file__).parents[4] / "docs" / "jobs.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in CEL_VARIABLES)
