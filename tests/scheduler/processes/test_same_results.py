"""Attempts in another process have the result of those in this one: for each kind of check, and for random jobs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.checks.clock import SendPermission
from jobs.definition import JobDefinition
from jobs.running.attempt_series import SeriesResult
from jobs.runs import ErrorClass
from tests.parts.bad_servers import refused_port
from tests.parts.dns_server import DnsServer
from tests.parts.http_target import Answer, HttpTarget
from tests.scheduler.processes.pool_parts import PoolDesk, Supervisor, job, open_pool, without_times


async def run_both_ways(desk: PoolDesk, definition: JobDefinition) -> tuple[SeriesResult, SeriesResult]:
    """Return the results of another process and of this one, and compare what was published."""
    elsewhere, here = Supervisor(), Supervisor()
    result = await desk.run(definition, supervisor=elsewhere)
    local = await desk.local.start(definition, "checkout@1", SendPermission(), here).run()
    assert elsewhere.asked == here.asked
    assert [(each.number, each.error) for each in elsewhere.retried] == [(e.number, e.error) for e in here.retried]
    return result, local


async def test_each_kind_of_check_has_the_same_result() -> None:
    names = {("shop.test", "A"): ["10.0.0.1", "10.0.0.2"]}
    async with (
        open_pool() as desk,
        HttpTarget() as target,
        HttpTarget(tls="good") as secure,
        DnsServer(names) as dns,
        refused_port() as refused,
    ):
        target.on("/down", 503, body={"status": "down"})
        target.on("/slow", delay=5)
        target.on("/sign-in", body={"token": "a secret token"})
        target.on_call("/echo", lambda request: Answer(404, {}, request.headers["authorization"].encode()))
        tls = {"ca_file": secure.ca_file}
        steps = [
            {"name": "sign in", "url": f"{target.url}/sign-in", "save": {"token": {"json": "$.token"}}},
            {"name": "use", "url": f"{target.url}/echo", "headers": {"authorization": "Bearer ${token}"}},
        ]
        retried = {"attempts": 3, "initial": "1ms", "jitter": "none"}
        table: dict[str, tuple[dict[str, Any], ErrorClass | None]] = {
            "good": ({}, None),
            "down": ({"check": {"url": f"{target.url}/down"}, "retry": retried}, ErrorClass.UNEXPECTED_STATUS),
            "unmet": (
                {"check": {"url": target.url}, "expect": [{"body_contains": "up"}]},
                ErrorClass.EXPECTATION_FAILED,
            ),
            "slow": (
                {
                    "check": {"url": f"{target.url}/slow"},
                    "timeout": {"attempt": "100ms", "run": "1s"},
                    "effect": "once",  # no second look on a busy machine
                },
                ErrorClass.RESPONSE_TIMEOUT,
            ),
            "refused": ({"check": {"url": refused.url}, "retry": retried}, ErrorClass.CONNECTION_REFUSED),
            "unknown secret": ({"check": _with_secret(target.url, "other")}, ErrorClass.SECRET_UNAVAILABLE),
            "https": ({"check": {"url": secure.url, "tls": tls}}, None),
            "untrusted": ({"check": {"url": secure.url}}, ErrorClass.TLS_CERTIFICATE),
            "tls": ({"check": {"kind": "tls", "host": "127.0.0.1", "port": secure.port, "tls": tls}}, None),
            "tcp": ({"check": {"kind": "tcp", "host": "127.0.0.1", "port": target.port}}, None),
            "dns": ({"check": {"kind": "dns", "name": "shop.test", "server": "127.0.0.1", "port": dns.port}}, None),
            "no name": (
                {"check": {"kind": "dns", "name": "x.test", "server": "127.0.0.1", "port": dns.port}},
                ErrorClass.DNS_ANSWER,
            ),
            "steps": ({"check": {"kind": "steps", "steps": steps}}, ErrorClass.UNEXPECTED_STATUS),
        }
        for name, (fields, error) in table.items():
            elsewhere, here = await run_both_ways(desk, job(target.url, **fields))
            assert without_times(elsewhere) == without_times(here), name
            assert elsewhere.attempts[-1].error == error, (name, elsewhere.attempts[-1])


def _with_secret(url: str, name: str) -> dict[str, Any]:
    return {"url": url, "auth": {"kind": "bearer", "token": {"secret": name}}, "allow_plain_http": True}


ANSWERS = st.builds(
    Answer,
    status=st.sampled_from((200, 204, 404, 429, 500, 503)),
    headers=st.sampled_from(({}, {"content-type": "application/json"}, {"retry-after": "0"})),
    body=st.sampled_from((b"", b"ready", b'{"status": "up", "count": 3}', b'{"status": "down"}', b"\xff\x00 <b>")),
    close=st.booleans(),
    reset=st.integers(0, 5).map(lambda number: not number),
)
EXPECTATIONS = st.lists(
    st.sampled_from(
        (
            {"status": 200},
            {"status": [200, 404]},
            {"body_contains": "ready"},
            {"json": "$.status", "equals": "up"},
            {"json": "$.count", "below": 3, "severity": "degraded"},
            {"response_time_below": "20s"},
        )
    ),
    max_size=3,
    unique_by=str,
)
RETRIES = st.fixed_dictionaries(
    {"attempts": st.integers(1, 3), "initial": st.just("1ms"), "jitter": st.sampled_from(("none", "full"))}
)
DENIALS = st.sampled_from(("", "", "The target has had enough retries."))


def test_random_jobs_have_the_same_result() -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        desk = runner.run(stack.enter_async_context(open_pool()))
        target = runner.run(stack.enter_async_context(HttpTarget()))

        async def make_both(answers: list[Answer], fields: dict[str, Any], denial: str) -> None:
            definition = job(target.url, **fields)
            results = []
            for start in (desk.pool.start, desk.local.start):
                target.sequence("/", *answers)
                supervisor = Supervisor(denial)
                result = await start(definition, "checkout@1", SendPermission(), supervisor).run()
                published = [(attempt.number, attempt.error, attempt.message) for attempt in supervisor.retried]
                results.append((without_times(result), supervisor.asked, published))
            assert results[0] == results[1]

        @settings(max_examples=60)
        @given(st.lists(ANSWERS, min_size=1, max_size=3), EXPECTATIONS, RETRIES, DENIALS)
        def compare(answers: list[Answer], expect: list[dict[str, Any]], retry: dict[str, Any], denial: str) -> None:
            runner.run(make_both(answers, {"expect": expect, "retry": retry}, denial))

        try:
            compare()
        finally:
            runner.run(stack.aclose())
