"""Requests carry the ids of the run's trace, so that the target's own telemetry can be joined with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jobs.checks.clock import PhaseClock
from jobs.checks.port import AttemptContext
from jobs.formats.trace_ids import format_trace_parent
from jobs.targets import HttpTarget
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts.http_target import HttpTarget as Server


@pytest.fixture
async def tracing() -> AsyncIterator[HttpCheckDriver]:
    async with open_http_check({"token": "secret-token"}, traces=True) as run_check:
        yield run_check


async def test_each_attempt_sends_its_own_span(tracing: HttpCheckDriver, target: Server) -> None:
    job = HttpTarget.model_validate({"url": target.url})
    sent = []
    for run, attempt in (("job@1", 1), ("job@1", 2), ("job@2", 1)):
        await tracing.check.observe(job, AttemptContext(run, attempt, PhaseClock()))
        sent.append((target.last.headers["traceparent"], target.last.headers["idempotency-key"]))
    assert sent == [
        (format_trace_parent("job@1", 1), "job@1"),
        (format_trace_parent("job@1", 2), "job@1"),
        (format_trace_parent("job@2", 1), "job@2"),
    ]


async def test_a_request_with_a_secret_carries_it_too(tracing: HttpCheckDriver, target: Server) -> None:
    await tracing(target.url, auth={"kind": "bearer", "token": {"secret": "token"}})
    assert target.last.headers["traceparent"] == format_trace_parent("job@1", 1)


async def test_a_body_arrives_behind_it(tracing: HttpCheckDriver, target: Server) -> None:
    await tracing(target.url, method="POST", body={"text": "hello"})
    assert (target.last.body, target.last.headers["traceparent"]) == (b"hello", format_trace_parent("job@1", 1))


@pytest.mark.parametrize("name", ["traceparent", "TraceParent"])
async def test_a_header_of_the_job_wins(tracing: HttpCheckDriver, target: Server, name: str) -> None:
    await tracing(target.url, headers={name: "own"})
    assert target.last.headers["traceparent"] == "own"


async def test_it_follows_within_the_origin_and_stays_behind_at_another_one(
    tracing: HttpCheckDriver, target: Server
) -> None:
    async with Server() as other:
        target.on("/old", 302, headers={"Location": "/new"})
        await tracing(f"{target.url}/old")
        assert target.last.headers["traceparent"] == format_trace_parent("job@1", 1)
        target.on("/away", 302, headers={"Location": f"{other.url}/new"})
        await tracing(f"{target.url}/away")
        assert "traceparent" not in other.last.headers
        assert other.last.headers["idempotency-key"] == "job@1"


async def test_without_the_setting_nothing_is_sent(target: Server) -> None:
    async with open_http_check() as run_check:
        await run_check(target.url)
    assert "traceparent" not in target.last.headers
