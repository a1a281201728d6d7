"""The TLS check shakes hands and tells what it was shown."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from jobs.checks.clock import PhaseClock, describe_deadline
from jobs.checks.kinds.tls import TlsCheck
from jobs.checks.net.network import Network
from jobs.checks.net.tls_contexts import TlsContexts
from jobs.checks.port import AttemptContext
from jobs.runs import ErrorClass, Observation
from jobs.targets.tls import TlsTarget
from tests.parts.bad_servers import refused_port
from tests.parts.tls import TlsKind, ca_file, server_context


@asynccontextmanager
async def shaking(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def run_check(port: int, *, clock: PhaseClock | None = None, **target: Any) -> Observation:
    known = {"kind": "tls", "host": "127.0.0.1", "port": port, "tls": {"ca_file": ca_file()}}
    check = TlsCheck(Network(), TlsContexts())
    return await check.observe(
        TlsTarget.model_validate({**known, **target}), AttemptContext("j@1", 1, clock or PhaseClock())
    )


async def test_a_good_certificate_is_reported_with_its_days_and_names() -> None:
    async with shaking(server_context("good", valid_for=timedelta(days=30, hours=1))) as port:
        observed = await run_check(port)
    assert observed.error is None
    assert observed.facts["days_left"] == 30
    assert "127.0.0.1" in observed.facts["names"]
    assert observed.facts["tls_version"] == "TLSv1.3"
    assert observed.certificates
    assert observed.phases.tls_ms is not None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("expired", "has expired"),
        ("not_yet_valid", "is not valid yet"),
        ("wrong_name", "is not valid for"),
        ("untrusted", "not trusted here"),
        ("self_signed", "self-signed"),
    ],
)
async def test_a_certificate_that_is_not_accepted_is_shown_all_the_same(kind: TlsKind, words: str) -> None:
    async with shaking(server_context(kind)) as port:
        observed = await run_check(port)
    assert observed.error is ErrorClass.TLS_CERTIFICATE
    assert words in observed.message
    assert "It is for " in observed.message
    assert observed.facts["not_after"]


async def test_a_name_that_is_denied_at_the_second_read_was_not_accepted_at_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter(["127.0.0.1", "169.254.169.254"])

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with shaking(server_context("expired")) as port:
        observed = await run_check(port, host="rebound.test")
    assert observed.error is ErrorClass.TLS_CERTIFICATE


async def test_what_is_wrong_with_a_certificate_is_known_while_more_is_requested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[tuple[ErrorClass, str] | None] = []

    async def no_second_look(_: TlsCheck, __: TlsTarget) -> None:
        found.append(clock.verdict)

    monkeypatch.setattr(TlsCheck, "_inspect_rejected", no_second_look)
    clock = PhaseClock()
    async with shaking(server_context("expired")) as port:
        observed = await run_check(port, clock=clock)
    assert found == [(observed.error, observed.message)]
    assert describe_deadline(clock, "tls://127.0.0.1", 1.0) == found[0]


@pytest.mark.parametrize("name", ["a..b", "a" * 64, "\u00ad"])
async def test_a_server_name_that_no_host_could_have_is_reported(name: str) -> None:
    async with shaking(server_context("good")) as port:
        observed = await run_check(port, server_name=name)
    assert observed.error is ErrorClass.TLS_FAILURE
    assert "server_name is not a valid host name" in observed.message


async def test_a_certificate_without_names_is_reported_with_its_subject() -> None:
    async with shaking(server_context("nameless")) as port:
        observed = await run_check(port)
    assert "It names no host (its subject is localhost), issued by localhost, valid from " in observed.message


async def test_a_session_that_is_too_old_is_refused() -> None:
    context = server_context("good")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with shaking(context) as port:
        observed = await run_check(port, minimum_version="1.3")
    assert observed.error is ErrorClass.TLS_FAILURE
    assert "agreed on TLSv1.2, at least TLSv1.3" in observed.message


async def test_the_name_that_is_requested_may_be_another_one_than_the_host() -> None:
    async with shaking(server_context("wrong_name")) as port:
        observed = await run_check(port, server_name="other.example")
    assert observed.error is None


async def test_a_closed_port_is_no_matter_of_tls() -> None:
    async with refused_port() as port:
        observed = await run_check(port.port)
    assert observed.error is ErrorClass.CONNECTION_REFUSED
