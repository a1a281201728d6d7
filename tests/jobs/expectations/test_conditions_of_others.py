"""Conditions that others' monitors know hold here where they hold there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.expectations import judge
from tests.jobs.expectations.foreign import entries_for
from tests.jobs.expectations.judged import answer, certificate

_FILE = Path(__file__).parents[2] / "data" / "checks" / "conditions.json"
_CASES = json.loads(_FILE.read_text(encoding="utf-8"))["cases"]


def _job(expect: list[dict[str, Any]], kind: str) -> JobDefinition:
    check = {"kind": kind, "url": "https://checkout.internal/health"}
    return JobDefinition.model_validate({"name": "checkout", "check": check, "expect": expect})


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{n}-{case['name']}") for n, case in enumerate(_CASES)])
def test_a_condition_holds_as_it_does_elsewhere(case: dict[str, Any]) -> None:
    seen = dict(case["answer"] or {})
    hours = seen.pop("certificate_hours", None)
    if hours is not None:
        seen["certificates"] = (certificate(datetime.now(UTC) + timedelta(hours=hours, seconds=60)),)
    try:
        job = _job(entries_for(case["asks"], seen.get("body", "")), "http")
    except ValidationError:
        # What cannot be said at all does not hold anywhere.
        assert case["holds"] is False
        return
    if case["holds"] is not None:
        unmet = judge(answer(**seen), job.expect)
        assert (not unmet) is case["holds"], unmet
