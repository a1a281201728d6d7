"""Targets that are asked by HTTP/2."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from jobs.checks.http_transport import transport
from jobs.runs import ErrorClass
from tests.jobs.checks.http_check import HttpCheckDriver, wait_until
from tests.parts import bad_servers as bad
from tests.parts import bad_tls
from tests.parts.http2_server import Http2Server
from tests.parts.http_target import HttpTarget
from tests.parts.proxy import Proxy
from tests.parts.tls import ca_file

Server = Callable[[], AbstractAsyncContextManager[Any]]
TRUST = {"ca_file": ca_file()}


async def test_http_2_is_spoken_where_tls_agrees_to_it(run_check: HttpCheckDriver) -> None:
    async with Http2Server(tls=True) as server:
        observed = await run_check(
            f"https://localhost:{server.port}/a?b=c", http2=True, tls=TRUST, headers={"X-A": "b"}
        )
    assert (observed.status, observed.body, observed.headers["x-node"], observed.error) == (200, b"ready", "a, b", None)
    assert (observed.facts["http_version"], observed.facts["remote_address"]) == ("HTTP/2", "127.0.0.1")
    assert (observed.facts["tls_version"], len(observed.certificates)) == ("TLSv1.3", 1)
    assert (server.heads[0][":path"], server.heads[0]["x-a"], server.heads[0]["idempotency-key"]) == (
        "/a?b=c",
        "b",
        "job@1",
    )
    phases = observed.phases
    assert None not in (phases.dns_ms, phases.connect_ms, phases.tls_ms, phases.first_byte_ms)


async def test_its_libraries_are_loaded_where_no_one_waits_for_them(
    run_check: HttpCheckDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def load(name: str) -> Any:
        threads.append(threading.current_thread())
        return importlib.import_module(name)

    monkeypatch.delitem(sys.modules, "jobs.checks.http_transport.http2", raising=False)
    monkeypatch.setattr(transport, "import_module", load)
    async with Http2Server() as server:
        assert (await run_check(server.url, http2=True)).status == 200
    assert threads
    assert threading.main_thread() not in threads


async def test_without_tls_http_2_is_spoken_at_once(run_check: HttpCheckDriver) -> None:
    async with Http2Server() as server:
        observed = await run_check(server.url, http2=True, method="POST", body={"text": "x" * 200_000})
    assert (observed.status, observed.facts["http_version"]) == (200, "HTTP/2")
    assert server.bodies == [b"x" * 200_000]


async def test_http_1_is_spoken_where_tls_does_not_agree_to_http_2(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        observed = await run_check(server.url, http2=True, tls=TRUST)
    assert (observed.status, observed.facts["http_version"]) == (200, "HTTP/1.1")
    assert server.last.headers["connection"] == "close"


async def test_settings_that_come_first_are_not_the_first_byte_of_the_answer(run_check: HttpCheckDriver) -> None:
    async with Http2Server() as server:
        server.delay = 0.03
        phases = (await run_check(server.url, http2=True)).phases
    assert phases.first_byte_ms is not None
    assert phases.first_byte_ms >= 30


async def test_no_more_than_the_limit_is_read_and_nothing_stays_open(run_check: HttpCheckDriver) -> None:
    async with Http2Server() as server:
        server.body = b"x" * 16_000
        observed = await run_check(server.url, http2=True, read_limit=100)
        await wait_until(lambda: not server.open_connections)
    assert (len(observed.body), observed.body_truncated) == (100, True)


async def test_an_answer_to_head_has_no_body(run_check: HttpCheckDriver) -> None:
    async with Http2Server() as server:
        server.body = b""
        assert (await run_check(server.url, http2=True, method="HEAD")).body == b""


async def test_redirects_are_followed(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    async with Http2Server() as server:
        server.status = 503
        target.on("/", 302, headers={"location": server.url})
        async with HttpTarget(tls="good") as first:
            first.on("/", 302, headers={"location": server.url + "/x"})
            observed = await run_check(first.url, http2=True, tls=TRUST)
    assert (observed.status, observed.facts["redirects"], server.heads[0][":path"]) == (503, 1, "/x")


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("reset", "aborted its response"),
        ("goaway", "aborted its response"),
        ("close", "closed the connection before its response was complete"),
    ],
)
async def test_an_answer_that_is_broken_off_is_reported(run_check: HttpCheckDriver, then: str, expected: str) -> None:
    async with Http2Server() as server:
        server.then = then
        observed = await run_check(server.url, http2=True)
    assert (observed.error, f"127.0.0.1:{server.port}" in observed.message) == (ErrorClass.PROTOCOL_ERROR, True)
    assert expected in observed.message


async def test_a_server_of_http_1_is_reported_as_such(run_check: HttpCheckDriver) -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    async with bad.answering(answer, at_once=True) as server:
        observed = await run_check(server.url, http2=True)
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert "speaks HTTP/1.1, not HTTP/2" in observed.message


async def test_garbage_is_reported(run_check: HttpCheckDriver) -> None:
    async with bad.answering(b"\xff" * 100, at_once=True) as server:
        assert (await run_check(server.url, http2=True)).error is ErrorClass.PROTOCOL_ERROR


async def test_a_server_of_http_2_alone_is_reported_what_to_set(run_check: HttpCheckDriver) -> None:
    async with Http2Server() as server:
        observed = await run_check(server.url)
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert "http2: true" in observed.message
    async with bad_tls.h2_alone() as alone:
        assert "http2: true" in (await run_check(alone.url, tls=TRUST)).message


@pytest.mark.parametrize(
    ("server", "error"),
    [
        (bad.refused_port, "connection_refused"),
        (bad.disconnect, "connection_reset"),
        (bad.reset_on_connect, "connection_reset"),
        (lambda: HttpTarget(tls="expired"), "tls_certificate"),
    ],
    ids=["refused", "closed", "reset", "expired"],
)
async def test_faults_below_http_2_are_the_same_as_ever(run_check: HttpCheckDriver, server: Server, error: str) -> None:
    async with server() as running:
        assert (await run_check(running.url, http2=True, tls=TRUST)).error == error


async def test_a_silent_server_is_waited_for_in_the_first_byte(run_check: HttpCheckDriver) -> None:
    async with Http2Server() as server:
        server.delay = 60
        assert (await run_check.run_until_phase("first_byte", server.url, http2=True)).current == "first_byte"


async def test_http_2_goes_through_a_proxy(run_check: HttpCheckDriver) -> None:
    async with Http2Server(tls=True) as server, Proxy() as proxy:
        observed = await run_check(server.url, http2=True, tls=TRUST, proxy=proxy.url)
    assert (observed.status, observed.facts["http_version"]) == (200, "HTTP/2")
