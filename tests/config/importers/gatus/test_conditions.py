"""What Gatus says of a condition and an answer equals what the imported expectations say of the same answer.

The verdicts were recorded from the evaluation of Gatus 5 (commit 08c46354): 303 conditions with 950 answers.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from importers.source_tree import NotCarriedOver
from importers.sources.gatus.condition_values import parse_condition
from importers.sources.gatus.conditions import map_condition
from jobs.expectations import judge
from tests.jobs.expectations.helpers import answer, certificate, entries
from tests.project import ROOT

VERDICTS: dict[str, list[dict[str, Any]]] = json.loads((ROOT / "tests/data/importers/gatus-verdicts.json").read_text())


def _expect(condition: str) -> list[dict[str, Any]]:
    expected = map_condition(parse_condition(condition), "http").entries
    return expected if any(one.keys() & {"status", "error"} for one in expected) else [*expected, {"status": "100-599"}]


def _holds(condition: str, given: dict[str, Any]) -> bool:
    more: dict[str, Any] = {"facts": {"remote_address": given.get("ip", "")}}
    if "cert_hours" in given:
        more["certificates"] = (certificate(datetime.now(UTC) + timedelta(hours=given["cert_hours"])),)
    observed = answer(given.get("body", ""), given.get("status", 200), given.get("ms", 10.0), **more)
    return not judge(observed, entries(*_expect(condition)))


@pytest.mark.parametrize("condition", VERDICTS)
def test_the_verdicts_are_those_of_gatus(condition: str) -> None:
    given = VERDICTS[condition]
    assert [_holds(condition, one) for one in given] == [one["holds"] for one in given]


@pytest.mark.parametrize(
    ("condition", "body", "of_gatus"),
    [
        ("[BODY].id == 1234567", '{"id": 1234567}', False),  # Gatus writes it as 1.234567e+06
        ("[BODY].n < 5", '{"n": "many"}', True),  # 0 in Gatus, as it is not a number
        ("[BODY].n != 5", "not JSON", True),  # an answer that cannot be read fails here
        ("len([BODY].user) == 13", '{"user": {"name":"bob"}}', True),  # the length of its JSON in Gatus
        ("[BODY].n == 1", '{"n": "1.0"}', False),  # another text than 1 in Gatus
    ],
)
def test_the_documented_differences(condition: str, body: str, of_gatus: bool) -> None:
    """docs/importing.md lists them: a change of one is a change of that page."""
    assert _holds(condition, {"body": body}) is not of_gatus


@pytest.mark.parametrize(
    "condition", ["[STATUS] ? 201", "[STATUS]==201", "[STATUS] = = 201", "[STATUS] ==", "[STATUS]", ""]
)
def test_what_gatus_refuses(condition: str) -> None:
    with pytest.raises(NotCarriedOver, match="Gatus refuses it"):
        parse_condition(condition)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("[STATUS] == any(200, 429)", [{"status": "200,429"}]),
        ("[STATUS] == pat(4*)", [{"status": "400-499"}]),
        ("[STATUS] != 500", [{"status": "100-499,501-599"}]),
        ("[STATUS] == 700", [{"cel": "false"}]),
        ("[RESPONSE_TIME] <= 300", [{"response_time_below": "301ms"}]),
        ("[BODY] == pat(*ready*)", [{"body": {"like": "*ready*"}}]),
        ("[BODY].name == pat(john?)", [{"json": "$.name", "matches": "(?s)\\Ajohn.\\Z"}]),
        ("[BODY].items[0].id == a", [{"json": "$.items[0].id", "equals": "a"}]),
        ("len([BODY].data) < 5", [{"json": "$.data", "length": {"below": 5}, "missing": "ok"}]),
        ("has([BODY].errors) == false", [{"json": "$.errors", "equals": None, "missing": "ok"}]),
        ("[CONNECTED] == true", []),
        ("[BODY] == pat(*)", []),
    ],
)
def test_how_a_condition_is_written(condition: str, expected: list[dict[str, Any]]) -> None:
    assert map_condition(parse_condition(condition), "http").entries == expected


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("[DOMAIN_EXPIRATION] > 720h", "the expiry of a domain"),
        ("[BODY].a != pat(*)", "it never holds"),
        ("[BODY].tags == [a b]", "hides its values"),
        ("[BODY].a == [CONTEXT].b", "the context of a suite"),
        ("[BODY].a == pat([)", "malformed"),
        ("len([BODY].a) == many", "something else than a whole number"),
        ("[BODY].$.a == 1", ""),
    ],
)
def test_conditions_without_an_equivalent(condition: str, reason: str) -> None:
    if not reason:
        assert map_condition(parse_condition(condition), "http").entries
        return
    with pytest.raises(NotCarriedOver, match=reason):
        map_condition(parse_condition(condition), "http")
