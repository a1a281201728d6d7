"""What a step expects may be what an earlier answer gave."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets.steps import StepsTarget
from tests.jobs.checks.kinds.test_steps import run_check
from tests.parts.http_target import HttpTarget

MADE = {"id": 4711, "key": "a*b", "token": "open-sesame-1", "empty": "", "long": "x" * 20_000}


def steps(url: str, *expect: dict[str, Any], **look: Any) -> dict[str, Any]:
    save = {name: {"json": f"$.{name}"} for name in MADE}
    made = {"name": "make", "url": f"{url}/made", "save": save}
    return {"steps": [made, {"name": "look", "url": "/look", "expect": list(expect), **look}]}


async def checked(*expect: dict[str, Any], redactor: Redactor | None = None, **look: Any) -> Observation:
    async with HttpTarget() as server:
        server.on("/made", body=MADE)
        observed = {"id": 4711, "ids": [1, 4711], "name": "4711 a*b", "price": "$5", "token": "another"}
        server.on("/look", body=observed, headers={"x-of": "order 4711"})
        return await run_check(steps(server.url, *expect, **look), redactor)


@pytest.mark.parametrize(
    ("entry", "holds"),
    [
        ({"json": "$.id", "equals": "${id}"}, True),
        ({"json": "$.name", "equals": "${id}"}, False),
        ({"json": "$.name", "equals": "${id} ${key}"}, True),
        ({"json": "$.name", "not_equals": "${id} ${key}"}, False),
        ({"json": "$.ids", "contains": "${id}"}, True),
        ({"json": "$.ids", "not_contains": "${id}"}, False),
        ({"json": "$.id", "one_of": [1, "${id}"]}, True),
        ({"json": "$", "not_equals": {"id": "${id}"}}, True),
        ({"json": "$.name", "starts_with": "${id} "}, True),
        ({"json": "$.name", "not_ends_with": "${key}"}, False),
        ({"json": "$.name", "like": "${id}*"}, True),
        ({"header": "x-of", "equals": "order ${id}"}, True),
        ({"header": "x-of", "equals": "${id}"}, False),
        ({"body": {"contains": "${key}"}}, True),
        ({"body_contains": "${key}"}, True),
        ({"body_not_contains": "${key}"}, False),
        ({"json": "$.price", "equals": "$$5"}, True),
        ({"json": "$.price", "not_equals": "$$${id}"}, True),
        ({"json": "$.name", "matches": "^4711 a"}, True),
        ({"json": "$.price", "matches": r"\$5$"}, True),
        ({"status": 200}, True),
    ],
    ids=str,
)
async def test_a_value_that_was_saved_is_what_is_expected(entry: dict[str, Any], holds: bool) -> None:
    observed = await checked(entry)
    assert (observed.error is None) is holds, observed.message


async def test_what_does_not_hold_is_reported_with_the_value() -> None:
    observed = await checked({"json": "$.ids[0]", "equals": "${id}"})
    assert observed.message == "Step 2 of 2 (look): Not as expected: json $.ids[0]: expected 4711, observed 1."


async def test_a_secret_that_is_expected_is_not_reported() -> None:
    observed = await checked({"json": "$.token", "equals": "${token}"}, redactor=Redactor())
    assert "open-sesame-1" not in observed.message
    assert "another" in observed.message


@pytest.mark.parametrize("name", ["empty", "long"])
async def test_a_value_that_cannot_be_compared_with_ends_the_steps(name: str) -> None:
    observed = await checked({"body_contains": f"${{{name}}}"})
    assert observed.error is ErrorClass.STEP_FAILED
    assert "Its body_contains got an invalid value: it is too" in observed.message


async def test_a_dollar_sign_is_one_without_any_value_too() -> None:
    async with HttpTarget() as server:
        step = {"name": "a", "url": server.url, "method": "POST", "body": {"json": {"note": "costs $$5"}}}
        await run_check({"steps": [{**step, "headers": {"X-Price": "$$5"}, "query": {"price": "$$5"}}]})
    request = server.last
    assert (json.loads(request.body), request.headers["x-price"]) == ({"note": "costs $5"}, "$5")
    assert request.query == {"price": "$5"}


def test_a_name_that_no_step_saves_is_refused_where_it_is_expected() -> None:
    with pytest.raises(ValidationError, match="is not saved by an earlier step"):
        StepsTarget.model_validate({"kind": "steps", **steps("http://h", {"json": "$.id", "equals": "${nosuch}"})})


async def test_a_step_does_not_know_what_its_own_answer_gives() -> None:
    with pytest.raises(ValidationError, match="is not saved by an earlier step"):
        await checked({"json": "$.id", "equals": "${own}"}, save={"own": {"json": "$.id"}})
