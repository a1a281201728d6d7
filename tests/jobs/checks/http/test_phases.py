"""How long each phase took, and how far a request came that was given up."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from jobs.checks.clock import Phase
from tests.jobs.checks.http_check import HttpCheckDriver, wait_until
from tests.parts import bad_servers as bad
from tests.parts.http_target import HttpTarget

ROUNDING_MS = 0.01
"""Each phase is rounded to a microsecond."""

Server = Callable[[], AbstractAsyncContextManager[Any]]


async def test_a_numeric_address_has_no_dns_phase(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    phases = (await run_check(target.url)).phases
    assert (phases.dns_ms, phases.tls_ms) == (None, None)
    assert phases.connect_ms is not None
    assert phases.first_byte_ms is not None
    assert phases.connect_ms + phases.first_byte_ms <= phases.total_ms + ROUNDING_MS


async def test_a_name_over_https_has_every_phase(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        phases = (await run_check(f"https://localhost:{server.port}/", tls={"ca_file": server.ca_file})).phases
    parts = (phases.dns_ms, phases.connect_ms, phases.tls_ms, phases.first_byte_ms)
    assert None not in parts
    assert sum(part or 0 for part in parts) <= phases.total_ms + ROUNDING_MS


async def test_the_time_that_a_target_thinks_is_first_byte_time(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    target.on("/", delay=0.03)
    phases = (await run_check(target.url)).phases
    assert phases.first_byte_ms is not None
    assert phases.first_byte_ms >= 30


async def test_the_phases_of_all_hops_are_added(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    target.on("/0", 302, headers={"location": "/1"}, delay=0.02)
    target.on("/1", 302, headers={"location": "/2"}, delay=0.02)
    phases = (await run_check(target.url + "/0")).phases
    assert phases.first_byte_ms is not None
    assert phases.first_byte_ms >= 40


@pytest.mark.parametrize(
    ("auth", "phase"),
    [
        ({"kind": "bearer", "token": {"secret": "x"}}, "secrets"),
        ({"kind": "managed_identity", "scope": "api://x/.default"}, "token"),
    ],
)
async def test_the_clock_knows_that_it_was_no_target_that_was_waited_for(
    auth: dict[str, Any], phase: Phase, run_check: HttpCheckDriver, target: HttpTarget
) -> None:
    class Slow:
        async def get_secret(self, _: str) -> str:
            await asyncio.sleep(60)
            return ""

        get_token = get_secret

    run_check.check._sources = replace(run_check.check._sources, secrets=Slow(), tokens=Slow())
    clock = await run_check.run_until_phase(phase, target.url, auth=auth)
    assert clock.current == phase
    assert target.requests == []


async def test_a_failed_connection_has_the_phases_up_to_it(run_check: HttpCheckDriver) -> None:
    async with bad.refused_port() as server:
        phases = (await run_check(server.url.replace("127.0.0.1", "localhost"))).phases
    assert phases.dns_ms is not None
    assert phases.connect_ms is not None
    assert phases.first_byte_ms is None


@pytest.mark.parametrize(
    ("server", "phase"),
    [
        (bad.never_accepting, "connect"),
        (lambda: bad.black_hole(tls=True), "tls"),
        (bad.black_hole, "first_byte"),
        (bad.dripping_headers, "body"),
        (bad.dripping_body, "body"),
    ],
    ids=["never accepting", "no handshake", "black hole", "dripping headers", "dripping body"],
)
async def test_the_clock_reports_what_a_request_was_waiting_for(
    run_check: HttpCheckDriver, server: Server, phase: Phase
) -> None:
    async with server() as running:
        clock = await run_check.run_until_phase(phase, running.url)
    assert clock.current == phase


async def test_a_dns_that_stays_silent_is_treated_as_such(
    run_check: HttpCheckDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = asyncio.Event()

    async def silent(*_: object) -> None:
        await silence.wait()

    monkeypatch.setattr("jobs.checks.net.network.Resolver.resolve", silent)
    clock = await run_check.run_until_phase("dns", "http://checkout.internal/")
    assert clock.current == "dns"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_request_that_is_abandoned_leaves_no_connection_open(run_check: HttpCheckDriver, tls: bool) -> None:
    async with HttpTarget(tls="good" if tls else None) as server:
        gate = server.hold("/")
        await run_check.run_until_phase("first_byte", server.url, tls={"ca_file": server.ca_file})
        gate.set()
        await wait_until(lambda: not server.open_connections)


async def test_a_request_may_be_abandoned_at_any_moment(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        server.on("/", body=b"x" * 100_000)
        await run_check(server.url, tls={"ca_file": server.ca_file})  # the TLS context is there from now on
        for step in range(40):
            task = asyncio.ensure_future(run_check(server.url, tls={"ca_file": server.ca_file}))
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
        await wait_until(lambda: not server.open_connections)


async def test_a_finished_tls_connection_leaves_no_buffers_to_the_garbage_collector(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        await run_check(server.url, tls={"ca_file": server.ca_file})
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await run_check(server.url, tls={"ca_file": server.ca_file})
            await wait_until(lambda: not server.open_connections)
            await asyncio.sleep(0.01)
            left = [each for each in gc.get_objects() if isinstance(each, ssl.SSLObject) and not each.server_side]
            assert left == []
        finally:
            gc.enable()
