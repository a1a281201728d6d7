"""What comes back from a target."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from jobs.runs import Observation
from tests.jobs.checks.http_check import HttpCheckDriver
from tests.parts.bad_servers import BadServer, closes_idle, endless_body, gzip_bomb, unavailable
from tests.parts.http_target import HttpTarget

TEXT = b"hello world, " * 1000


async def answered(run_check: HttpCheckDriver, wire: bytes) -> Observation:
    """What the check makes of these bytes."""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(wire)

    async with BadServer(behave) as server:
        return await run_check(server.url)


async def test_a_whole_answer_is_observed(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    target.on("/health", 503, headers={"X-Node": "a", "Content-Type": "text/plain"}, body="down")
    observed = await run_check(target.url + "/health")
    assert (observed.status, observed.reason, observed.body, observed.body_truncated) == (
        503,
        "Service Unavailable",
        b"down",
        False,
    )
    assert (observed.headers["x-node"], observed.headers["content-type"]) == ("a", "text/plain")
    assert (observed.error, observed.message) == (None, "")


async def test_repeated_headers_are_joined(run_check: HttpCheckDriver) -> None:
    observed = await answered(run_check, b"HTTP/1.1 200 OK\r\nVia: a\r\nvia: b\r\nContent-Length: 0\r\n\r\n")
    assert observed.headers["via"] == "a, b"


async def test_header_bytes_that_are_no_utf_8_are_readable_all_the_same(run_check: HttpCheckDriver) -> None:
    observed = await answered(
        run_check, b"HTTP/1.1 200 OK\r\nX-A: gr\xfc\xdf\r\nX-B: gr\xc3\xbc\r\nContent-Length: 0\r\n\r\n"
    )
    assert (observed.headers["x-a"], observed.headers["x-b"]) == ("grüß", "grü")


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
async def test_a_body_is_read_however_its_end_is_reported(
    run_check: HttpCheckDriver, target: HttpTarget, framing: str
) -> None:
    target.on("/", body=TEXT, framing=framing)
    assert (await run_check(target.url)).body == TEXT


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_have_none(
    run_check: HttpCheckDriver, target: HttpTarget, method: str, status: int
) -> None:
    target.on("/", status)
    observed = await run_check(target.url, method=method)
    assert (observed.status, observed.body, observed.error) == (status, b"", None)


async def test_the_length_in_an_answer_to_head_is_not_waited_for(
    run_check: HttpCheckDriver, target: HttpTarget
) -> None:
    target.on("/", body=TEXT, headers={"content-encoding": "gzip"})
    observed = await run_check(target.url, method="HEAD")
    assert (observed.status, observed.body, observed.headers["content-length"]) == (200, b"", str(len(TEXT)))


async def test_informational_answers_are_skipped(run_check: HttpCheckDriver) -> None:
    observed = await answered(
        run_check,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )
    assert (observed.status, observed.body) == (200, b"ok")


async def test_an_http_1_0_answer_is_understood(run_check: HttpCheckDriver) -> None:
    observed = await answered(run_check, b"HTTP/1.0 200 OK\r\n\r\nold but fine")
    assert (observed.status, observed.body) == (200, b"old but fine")


async def test_a_connection_that_the_target_closes_after_its_answer_is_no_error(run_check: HttpCheckDriver) -> None:
    async with closes_idle() as server:
        for _ in range(3):
            assert (await run_check(server.url)).body == b"ok"
        assert server.connections == 3


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("GZIP", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("br", TEXT),
        ("", TEXT),
    ],
)
async def test_a_compressed_body_is_unpacked(
    run_check: HttpCheckDriver, target: HttpTarget, encoding: str, content: bytes
) -> None:
    target.on("/", body=content, headers={"content-encoding": encoding})
    assert (await run_check(target.url)).body == TEXT


# --- limits ---


@pytest.mark.parametrize(("size", "truncated"), [(99, False), (100, False), (101, True), (100_000, True)])
async def test_no_more_of_a_body_than_the_limit_is_read(
    run_check: HttpCheckDriver, target: HttpTarget, size: int, truncated: bool
) -> None:
    target.on("/", body=b"x" * size)
    observed = await run_check(target.url, read_limit=100)
    assert (len(observed.body), observed.body_truncated, observed.error) == (min(size, 100), truncated, None)


async def test_a_body_without_end_is_read_up_to_the_limit(run_check: HttpCheckDriver) -> None:
    async with endless_body() as server:
        observed = await run_check(server.url, read_limit="256KiB")
    assert (len(observed.body), observed.body_truncated) == (256 * 1024, True)


async def test_a_small_answer_that_unpacks_to_gigabytes_stays_small(run_check: HttpCheckDriver) -> None:
    async with gzip_bomb(50_000_000) as server:
        tracemalloc.start()
        try:
            observed = await run_check(server.url, read_limit="64KiB")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (len(observed.body), observed.body_truncated) == (64 * 1024, True)
    assert peak < 4_000_000


# --- Retry-After ---


async def test_a_target_may_request_to_wait_for_seconds(run_check: HttpCheckDriver) -> None:
    async with unavailable(7) as server:
        assert (await run_check(server.url)).retry_after_s == 7


async def test_a_target_may_request_to_wait_until_an_instant(run_check: HttpCheckDriver) -> None:
    async with unavailable(datetime.now(UTC) + timedelta(seconds=30)) as server:
        observed = await run_check(server.url)
    assert observed.retry_after_s == pytest.approx(30, abs=2)


# --- facts ---


async def test_an_observation_reports_how_it_was_answered(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    target.on("/0", 302, headers={"location": "/a%20b?code=hidden"})
    facts = (await run_check(target.url + "/0?code=hidden")).facts
    assert facts == {
        "http_version": "HTTP/1.1",
        "url": f"{target.url}/a%20b",
        "redirects": 1,
        "remote_address": "127.0.0.1",
    }


async def test_an_observation_over_tls_has_the_version_and_the_certificates(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        observed = await run_check(f"https://localhost:{server.port}/", tls={"ca_file": server.ca_file})
    assert observed.facts["tls_version"] == "TLSv1.3"
    certificate = x509.load_der_x509_certificate(observed.certificates[0])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)


async def test_certificates_are_reported_also_when_no_one_verifies_them(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="self_signed") as server:
        assert len((await run_check(server.url, tls={"verify": False})).certificates) == 1
