"""Conditions that others' monitors know hold here where they hold there: of a job as people write it, that is asked."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.checks.clock import PhaseClock
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.expectations import judge
from jobs.runs import Observation
from tests.jobs.checks.http_check import open_http_check
from tests.jobs.expectations.helpers import answer, certificate
from tests.jobs.expectations.other_monitors import entries_for
from tests.parts.http_target import HttpTarget

_FILE = Path(__file__).parents[2] / "data" / "checks" / "conditions.json"
_CASES = json.loads(_FILE.read_text(encoding="utf-8"))["cases"]

_AGO = re.compile(r"\{(\d+) seconds ago\}")

_SERVED = frozenset({"status", "headers", "body"})
"""What a target on loopback can answer; what else a case says of an answer is made up."""


def _job(url: str, expect: list[dict[str, Any]]) -> JobDefinition:
    check = {"url": url, "redirects": 0}
    return JobDefinition.model_validate({"name": "checkout", "check": check, "expect": expect})


def _dated(value: Any) -> Any:
    """`{600 seconds ago}` as HTTP writes that instant."""
    found = _AGO.fullmatch(value) if isinstance(value, str) else None
    return format_datetime(datetime.now(UTC) - timedelta(seconds=int(found[1])), usegmt=True) if found else value


async def _served(job: JobDefinition, server: HttpTarget, output: dict[str, Any]) -> Observation:
    headers = {name: _dated(value) for name, value in output.get("headers", {}).items()}
    server.on("/health", **{**output, "headers": headers})
    async with open_http_check() as send_request:
        return await send_request.check.observe(job.check, AttemptContext("checkout@1", 1, PhaseClock()))


def _made_up(output: dict[str, Any]) -> Observation:
    hours = output.pop("certificate_hours", None)
    if hours is not None:
        output["certificates"] = (certificate(datetime.now(UTC) + timedelta(hours=hours, seconds=60)),)
    return answer(**output)


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{n}-{case['name']}") for n, case in enumerate(_CASES)])
async def test_a_condition_holds_as_it_does_elsewhere(case: dict[str, Any]) -> None:
    output = dict(case["answer"] or {})
    served = output.keys() <= _SERVED and case["holds"] is not None
    async with HttpTarget() as server:
        url = f"{server.url}/health" if served else "https://checkout.internal/health"
        try:
            job = _job(url, entries_for(case["asks"], output.get("body", "")))
        except ValidationError:
            # What cannot be said at all does not hold anywhere.
            assert case["holds"] is False
            return
        if case["holds"] is not None:
            observed = await _served(job, server, output) if served else _made_up(output)
            unmet = judge(observed, job.expect)
            assert observed.error is None
            assert (not unmet) is case["holds"], unmet
