"""Targets that let connections be used again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobs.checks.http_transport import pool as kept_module
from jobs.runs import ErrorClass, Observation
from tests.jobs.checks.http_check import HttpCheckDriver, wait_until
from tests.parts import bad_answers as answers
from tests.parts import bad_servers as bad
from tests.parts.bad_servers import BadServer
from tests.parts.http_target import HttpTarget

STORED = {"connection": "kept"}


def made(observed: Observation) -> bool:
    """Whether a connection was made for it."""
    return observed.phases.connect_ms is not None


async def test_each_request_has_a_connection_of_its_own_unless_the_target_reports_otherwise(
    run_check: HttpCheckDriver, target: HttpTarget
) -> None:
    assert [made(await run_check(target.url)) for _ in range(3)] == [True, True, True]


async def test_a_stored_connection_is_used_again_and_the_phases_report_it(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        url, tls = f"https://localhost:{server.port}/", {"ca_file": server.ca_file}
        first, second = [await run_check(url, tls=tls, **STORED) for _ in range(2)]
    assert (first.status, second.status, server.connections) == (200, 200, 1)
    assert None not in (first.phases.dns_ms, first.phases.connect_ms, first.phases.tls_ms)
    assert (second.phases.dns_ms, second.phases.connect_ms, second.phases.tls_ms) == (None, None, None)
    assert second.phases.first_byte_ms is not None
    assert second.facts["tls_version"] == first.facts["tls_version"] == "TLSv1.3"
    assert second.certificates == first.certificates


async def test_connections_wait_for_as_many_requests_as_continue_together(
    run_check: HttpCheckDriver, target: HttpTarget
) -> None:
    for _ in range(3):
        await asyncio.gather(*(run_check(target.url, **STORED) for _ in range(4)))
    assert target.connections == 4


async def test_jobs_that_trust_differently_do_not_share_a_connection(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="self_signed") as server:
        assert (await run_check(server.url, tls={"verify": False}, **STORED)).status == 200
        assert (await run_check(server.url, **STORED)).error is ErrorClass.TLS_CERTIFICATE


async def test_a_stored_connection_that_was_closed_meanwhile_is_replaced_without_a_word(
    run_check: HttpCheckDriver,
) -> None:
    async with HttpTarget() as server:
        await run_check(server.url, **STORED)
        server.close_connections()
        await asyncio.sleep(0.01)
        observed = await run_check(server.url, **STORED)
    assert (observed.status, observed.error, made(observed)) == (200, None, True)


def closes_at_the_second_request(answer: bytes = b"") -> BadServer:
    """Answers the first request of each connection, promises to keep it, and breaks it off at the second."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.GOOD)
        await reader.read(1000)
        writer.write(answer)

    return BadServer(behave)


async def test_a_connection_that_breaks_as_it_is_used_again_is_replaced_once(run_check: HttpCheckDriver) -> None:
    async with closes_at_the_second_request() as server:
        await run_check(server.url, **STORED)
        observed = await run_check(server.url, **STORED)
        assert (observed.status, observed.error, made(observed), server.connections) == (200, None, True, 2)


async def test_one_that_breaks_within_the_answer_is_a_failure(run_check: HttpCheckDriver) -> None:
    async with closes_at_the_second_request(b"HTTP/1.1 2") as server:
        await run_check(server.url, **STORED)
        observed = await run_check(server.url, **STORED)
        assert (observed.error, server.connections) == (ErrorClass.PROTOCOL_ERROR, 1)


async def test_what_must_not_be_repeated_never_goes_over_a_stored_connection(
    run_check: HttpCheckDriver, target: HttpTarget
) -> None:
    await run_check(target.url, **STORED)
    observed = await run_check(target.url, method="POST", **STORED)
    assert (made(observed), target.last.headers["connection"]) == (True, "close")


@pytest.mark.parametrize(
    "answer",
    [
        answers.LONGER_THAN_PROMISED,
        answers.SECOND_ANSWER,
        answers.NO_CONTENT_WITH_CONTENT,
        answers.CHUNKS_WITH_TRAILERS + b"HTTP/1.1 200",
        answers.answer(b"ready", "Connection: close"),
        answers.HTTP_1_0,
    ],
    ids=["longer than promised", "second answer", "204 with content", "chunks and more", "close", "HTTP/1.0"],
)
async def test_a_connection_with_something_odd_is_not_stored(run_check: HttpCheckDriver, answer: bytes) -> None:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await asyncio.sleep(0.2)

    async with BadServer(behave) as server:
        assert [made(await run_check(server.url, **STORED)) for _ in range(2)] == [True, True]


async def test_a_body_that_is_not_read_to_its_end_ends_the_connection(run_check: HttpCheckDriver) -> None:
    async with bad.endless_body() as server:
        observed = [await run_check(server.url, read_limit="1KiB", **STORED) for _ in range(2)]
        assert [made(each) for each in observed] == [True, True]


async def test_idle_connections_are_closed_in_time(
    run_check: HttpCheckDriver, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_module, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(kept_module, "_SWEEP_INTERVAL", 0.01)
    await run_check(target.url, **STORED)
    await wait_until(lambda: not target.open_connections)
    assert made(await run_check(target.url, **STORED))


async def test_of_one_origin_only_so_many_are_stored(
    run_check: HttpCheckDriver, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_module, "MAX_IDLE_PER_ORIGIN", 2)
    await asyncio.gather(*(run_check(target.url, **STORED) for _ in range(5)))
    await wait_until(lambda: target.open_connections == 2)


async def test_of_all_origins_only_so_many_are_stored(
    run_check: HttpCheckDriver, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_module, "MAX_IDLE", 1)
    await asyncio.gather(*(run_check(target.url, **STORED) for _ in range(3)))
    await wait_until(lambda: target.open_connections == 1)


async def test_redirects_use_stored_connections_too(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    target.on("/0", 302, headers={"location": "/1"})
    found: list[Any] = [await run_check(target.url + "/0", **STORED) for _ in range(2)]
    assert [observed.status for observed in found] == [200, 200]
    assert found[1].facts["redirects"] == 1
