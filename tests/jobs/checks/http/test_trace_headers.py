"""Requests carry the ids of the run's trace, so that the target's own telemetry can be joined with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobs.checks.clock import PhaseClock
from jobs.checks.kinds.steps import StepsCheck
from jobs.checks.port import AttemptContext
from jobs.policies.execution import TelemetryPolicy
from jobs.redaction import Redactor
from jobs.targets import HttpTarget, StepsTarget
from jobs.trace_ids import format_trace_parent
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts.http_server import Answer
from tests.parts.http_target import HttpTarget as Server
from tests.parts.token_endpoint import TokenEndpoint


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


async def sent_under(check: HttpCheckDriver, target: Server, policy: TelemetryPolicy | None) -> str:
    await check.check.observe(
        HttpTarget.model_validate({"url": target.url}), AttemptContext("job@1", 1, PhaseClock(), telemetry=policy)
    )
    return target.last.headers.get("traceparent", "")


async def test_a_job_that_has_switched_it_off_sends_none(tracing: HttpCheckDriver, target: Server) -> None:
    assert await sent_under(tracing, target, TelemetryPolicy(trace_context=False)) == ""
    assert await sent_under(tracing, target, TelemetryPolicy()) == format_trace_parent("job@1", 1)


async def test_it_is_not_sampled_only_where_no_span_can_be_published(tracing: HttpCheckDriver, target: Server) -> None:
    not_sampled = format_trace_parent("job@1", 1, is_sampled=False)
    assert not_sampled.endswith("-00")
    assert await sent_under(tracing, target, TelemetryPolicy(spans="none")) == not_sampled
    assert (await sent_under(tracing, target, TelemetryPolicy(spans="failures"))).endswith("-01")
    async with open_http_check(traces=True, publishes_spans=False) as unpublished:
        assert await sent_under(unpublished, target, None) == not_sampled
        assert (await sent_under(unpublished, target, TelemetryPolicy(spans="all"))).endswith("-01")


async def test_all_steps_of_an_attempt_carry_its_span(tracing: HttpCheckDriver, target: Server) -> None:
    steps = StepsTarget.model_validate(
        {"kind": "steps", "steps": [{"name": "a", "url": f"{target.url}/a"}, {"name": "b", "url": "/b"}]}
    )
    await StepsCheck(tracing.check, Redactor()).observe(steps, AttemptContext("job@1", 2, PhaseClock()))
    sent = [request.headers["traceparent"] for request in target.requests]
    assert sent == [format_trace_parent("job@1", 2)] * 2


def oauth(url: str) -> dict[str, Any]:
    return {
        "kind": "oauth2",
        "token_url": f"{url}/token",
        "client_id": "probe",
        "client_secret": {"secret": "client"},
    }


async def test_a_token_endpoint_gets_it_at_the_origin_of_the_target_only(target: Server) -> None:
    token = Answer.of_json({"access_token": "t0ken", "expires_in": 3600})
    target.on_call("/token", lambda _: token)
    async with (
        TokenEndpoint() as elsewhere,
        open_http_check({"client": "cl1ent-secret"}, traces=True) as check,
    ):
        await check(target.url, auth=oauth(target.url))
        await check(target.url, auth=oauth(elsewhere.url))
    (own,) = target.requests_to("/token")
    assert own.headers["traceparent"] == format_trace_parent("job@1", 1)
    (foreign,) = elsewhere.requests
    assert "traceparent" not in foreign.headers
    assert "tracestate" not in own.headers


async def test_no_header_of_ours_contains_a_secret(tracing: HttpCheckDriver, target: Server) -> None:
    secret = {"secret": "token"}
    async with Server() as other:
        target.on("/away", 302, headers={"Location": f"{other.url}/new"})
        await tracing(
            f"{target.url}/away",
            headers={"X-Own": secret},
            query={"q": secret},
            auth={"kind": "bearer", "token": secret},
        )
    given = {"x-own", "authorization"}
    assert target.requests[0].headers["x-own"] == "secret-token"
    ours = {name: value for name, value in target.requests[0].headers.items() if name not in given}
    assert "secret-token" not in str(ours)
    assert "secret-token" not in str((other.last.path, dict(other.last.headers), other.last.body))
