"""Targets behind a proxy."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from jobs.checks.guard import LOCAL_GUARD, Guard
from jobs.runs import ErrorClass
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts import bad_servers as bad
from tests.parts.bad_answers import HTTP_2_GOOD
from tests.parts.http_target import HttpTarget
from tests.parts.proxy import Proxy
from tests.parts.tls import ca_file

Server = Callable[[], AbstractAsyncContextManager[Any]]
TRUST = {"ca_file": ca_file()}
AUTH = {"username": "probe", "password": {"secret": "proxy"}}
BASIC = base64.b64encode(b"probe:pa55word").decode()


async def test_a_plain_target_is_queried_by_its_whole_url(target: HttpTarget) -> None:
    async with Proxy() as proxy, open_http_check({"proxy": "pa55word"}) as run_check:
        observed = await run_check(target.url + "/a", proxy=proxy.url, proxy_auth=AUTH)
        assert run_check.redactor.redact(BASIC) == "***"
    assert (observed.status, target.last.path) == (200, "/a")
    assert proxy.requests[0].startswith(f"GET {target.url}/a HTTP/1.1\r\n")
    assert f"\r\nProxy-Authorization: Basic {BASIC}\r\n" in proxy.requests[0]


async def test_a_target_behind_tls_is_queried_through_a_tunnel(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server, Proxy() as proxy:
        for _ in range(2):
            observed = await run_check(f"https://localhost:{server.port}/a", proxy=proxy.url, tls=TRUST)
    assert (observed.status, server.last.path, observed.facts["tls_version"]) == (200, "/a", "TLSv1.3")
    assert proxy.requests[0].startswith(
        f"CONNECT localhost:{server.port} HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
    )
    assert None not in (observed.phases.connect_ms, observed.phases.tls_ms, observed.phases.first_byte_ms)
    assert "proxy-authorization" not in server.last.headers


async def test_the_tunnel_carries_the_proof_and_the_target_never_sees_it() -> None:
    async with HttpTarget(tls="good") as server, Proxy() as proxy, open_http_check({"proxy": "pa55word"}) as run_check:
        await run_check(server.url, proxy=proxy.url, proxy_auth=AUTH, tls=TRUST)
    assert f"\r\nProxy-Authorization: Basic {BASIC}\r\n" in proxy.requests[0]
    assert "proxy-authorization" not in server.last.headers


@pytest.mark.parametrize(
    ("status", "expected"), [(407, "check proxy_auth"), (403, "its rules"), (502, "could not connect")]
)
async def test_a_proxy_that_refuses_is_named(run_check: HttpCheckDriver, status: int, expected: str) -> None:
    async with Proxy(answer=status) as proxy:
        observed = await run_check("https://checkout.internal/", proxy=proxy.url)
    assert observed.error is ErrorClass.CONNECTION_FAILED
    assert observed.message.startswith(f"The proxy 127.0.0.1:{proxy.port} opened no tunnel to checkout.internal:443: ")
    assert f"answered {status}" in observed.message
    assert expected in observed.message


@pytest.mark.parametrize(
    ("server", "error"), [(bad.refused_port, "connection_refused"), (bad.disconnect, "connection_reset")]
)
async def test_a_proxy_that_is_unavailable_is_the_one_that_is_blamed(
    run_check: HttpCheckDriver, server: Server, error: str
) -> None:
    async with server() as unavailable:
        observed = await run_check("https://checkout.internal/", proxy=unavailable.url)
    assert (observed.error, f"127.0.0.1:{unavailable.port}" in observed.message) == (error, True)


async def test_behind_the_tunnel_the_target_is_the_one_that_is_blamed(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="expired") as server, Proxy() as proxy:
        observed = await run_check(server.url, proxy=proxy.url, tls=TRUST)
    assert observed.error is ErrorClass.TLS_CERTIFICATE
    assert observed.message.startswith(f"The certificate of 127.0.0.1:{server.port} has expired")


@pytest.mark.parametrize(
    ("url", "rules"),
    [
        ("http://169.254.169.254/metadata", {}),
        ("https://168.63.129.16/", {}),
        ("http://2852039166/metadata", {}),
        ("http://0xa9fea9fe/metadata", {}),
        ("http://169.254.43518/metadata", {}),
        ("http://169.254.169.254./metadata", {}),
        ("http://[::ffff:a9fe:a9fe]/metadata", {}),
        ("http://localhost./", {"networks": ()}),
        ("http://a.localhost/", {"networks": ()}),
        ("http://127.1/", {"networks": ()}),
        ("http://checkout.internal/", {"hosts": ("*.example",)}),
    ],
)
async def test_a_proxy_is_no_way_around_the_guard(url: str, rules: dict[str, Any]) -> None:
    guard = Guard(replace(LOCAL_GUARD._rules, **rules)) if rules else LOCAL_GUARD
    async with Proxy() as proxy, open_http_check(guard=guard) as run_check:
        observed = await run_check(url, proxy=proxy.url)
    assert (observed.error, proxy.requests) == (ErrorClass.TARGET_DENIED, [])
    assert "proxy" not in observed.message


async def test_what_comes_with_the_answer_of_the_proxy_is_reported_by_the_target(run_check: HttpCheckDriver) -> None:
    tunnel = b"HTTP/1.1 200 Connection established\r\n\r\n" + HTTP_2_GOOD
    async with bad.part_then(tunnel, "silence") as proxy:
        async with asyncio.timeout(60):
            observed = await run_check("http://checkout.internal/", proxy=proxy.url, http2=True)
    assert (observed.status, observed.body) == (200, b"ready")


async def test_a_proxy_that_may_not_be_requested_is_not(run_check: HttpCheckDriver) -> None:
    assert (
        await run_check("http://checkout.internal/", proxy="http://169.254.169.254")
    ).error is ErrorClass.TARGET_DENIED


async def test_a_proxy_that_is_abandoned_leaves_nothing_open(run_check: HttpCheckDriver) -> None:
    async with bad.black_hole() as silent:
        clock = await run_check.run_until_phase("connect", "https://checkout.internal/", proxy=silent.url)
    assert clock.current == "connect"


@pytest.mark.parametrize(
    "wrong",
    [
        {"proxy": "https://proxy.internal"},
        {"proxy": "http://proxy.internal/path"},
        {"proxy": "http://user:word@proxy.internal"},
        {"proxy": "socks5://proxy.internal"},
        {"proxy_auth": AUTH},
        {"proxy": "http://proxy.internal", "connection": "kept"},
        {"http2": True, "connection": "kept"},
    ],
)
async def test_what_does_not_go_together_is_refused(run_check: HttpCheckDriver, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"prox|kept"):
        await run_check("http://checkout.internal/", **wrong)
