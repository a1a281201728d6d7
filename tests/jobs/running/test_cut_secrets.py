"""Nothing of a secret is shown where the reading of an answer that repeats it stopped within it, wherever that is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.definition import JobDefinition
from jobs.expectations import judge
from jobs.redaction import SHORTEST_SECRET
from jobs.running.run_factories import build_attempt
from tests.jobs.checks.http_check import open_http_check
from tests.parts.http_server import Answer
from tests.parts.http_target import HttpTarget

SECRET = "correct-horse/battery+staple"
BEFORE = "Bearer "
EXPECT = ({"status": 200}, {"body": {"equals": "never"}}, {"body_matches": "never"}, {"json": "$.a", "equals": 1})


def check(url: str, size: int) -> dict[str, Any]:
    return {"url": url, "read_limit": size, "auth": {"kind": "bearer", "token": {"secret": "token"}}}


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    async with HttpTarget() as server:
        yield server


@pytest.mark.parametrize("expect", EXPECT, ids=json.dumps)
async def test_no_half_of_a_secret_is_shown_wherever_reading_stops(expect: dict[str, Any], target: HttpTarget) -> None:
    target.on_call("/", lambda request: Answer(500, body=request.headers["authorization"].encode()))
    async with open_http_check({"token": SECRET}) as send_request:
        for size in range(len(BEFORE) + SHORTEST_SECRET, len(BEFORE + SECRET) + 1):
            job = JobDefinition.model_validate({"name": "j", "check": check(target.url, size), "expect": [expect]})
            observed = await send_request(**check(target.url, size))
            failures = judge(observed, job.expect, send_request.redactor.redact)
            attempt = build_attempt(
                1, datetime(2026, 1, 1, tzinfo=UTC), observed, failures, send_request.redactor, 2048
            )
            assert observed.body.startswith(BEFORE.encode() + SECRET[:SHORTEST_SECRET].encode())
            assert attempt.body == f"{BEFORE}***"
            assert SECRET[:SHORTEST_SECRET] not in repr(attempt)
