"""What goes wrong has its own error class and a sentence that says what to look at."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.certificates import read_certificate
from jobs.checks.error_mapping import Peer, classify_error
from jobs.running.attempt_details import build_details
from jobs.runs import ErrorClass
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts import bad_servers as bad
from tests.parts.http_target import HttpTarget
from tests.parts.tls import TlsKind

Server = Callable[[], AbstractAsyncContextManager[Any]]


@pytest.mark.parametrize(
    ("server", "error", "status", "expected"),
    [
        (bad.refused_port, "connection_refused", None, "refused the connection: nothing listens on this port"),
        (bad.reset_on_connect, "connection_reset", None, "reset the connection before its response"),
        (bad.reset_after_request, "connection_reset", None, "reset the connection before its response"),
        (bad.reset_in_body, "connection_reset", 200, "reset the connection before its response was complete"),
        (bad.disconnect, "connection_reset", None, "closed the connection without a response"),
        (bad.half_close, "connection_reset", None, "closed the connection without a response"),
        (bad.truncated_body, "protocol_error", 200, "closed the connection before its response was complete"),
        (bad.truncated_chunks, "protocol_error", 200, "closed the connection before its response was complete"),
        (bad.garbage, "protocol_error", None, "answered with something that is not HTTP/1.1."),
        (bad.wrong_chunking, "protocol_error", 200, "something that is not HTTP/1.1 (illegal chunk header)"),
        (bad.endless_headers, "protocol_error", None, "sent more than 100 KiB of headers"),
        (bad.broken_gzip, "protocol_error", 200, "a body that is not gzip, the encoding in its header"),
        (bad.redirect_loop, "too_many_redirects", 302, "redirects again after 10 redirects"),
        (bad.plain_behind_https, "tls_failure", None, "not TLS: the port seems to speak plain HTTP"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
async def test_a_target_that_fails_is_reported_by_class_and_sentence(
    run_check: HttpCheckDriver, server: Server, error: str, status: int | None, expected: str
) -> None:
    async with server() as running:
        observed = await run_check(running.url + "/health?code=hidden")
    assert (observed.error, observed.status) == (error, status)
    assert expected in observed.message
    assert f"127.0.0.1:{running.port}" in observed.message
    assert "hidden" not in observed.message
    assert observed.message.endswith(".")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("expired", "has expired"),
        ("not_yet_valid", "is not valid yet"),
        ("wrong_name", "is not valid for 127.0.0.1"),
        ("untrusted", "signed by an authority that is not trusted here"),
        ("self_signed", "is self-signed"),
    ],
)
async def test_a_certificate_that_is_not_accepted_is_reported_with_the_reason(
    run_check: HttpCheckDriver, kind: TlsKind, expected: str
) -> None:
    async with HttpTarget(tls=kind) as server:
        observed = await run_check(server.url, tls={"ca_file": server.ca_file})
    assert observed.error is ErrorClass.TLS_CERTIFICATE
    assert observed.message.startswith(f"The certificate of 127.0.0.1:{server.port} ")
    assert expected in observed.message
    assert server.requests == []


async def test_a_certificate_that_is_not_accepted_is_shown(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="expired") as server:
        observed = await run_check(server.url, tls={"ca_file": server.ca_file})
    certificate = read_certificate(observed.certificates[0])
    assert certificate.not_after < datetime.now(UTC)
    assert build_details(observed, lambda text, *, cut=False: text).tls.certificate.expires_at < datetime.now(UTC)  # type: ignore[union-attr]


async def test_a_wrong_name_is_reported_for_names_too(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="wrong_name") as server:
        observed = await run_check(f"https://localhost:{server.port}/", tls={"ca_file": server.ca_file})
    assert "is not valid for localhost" in observed.message


async def test_a_server_that_ends_the_handshake_is_reported_as_tls_failure(run_check: HttpCheckDriver) -> None:
    async with bad.reset_on_connect() as server:
        observed = await run_check(server.url.replace("http:", "https:"))
    assert observed.error is ErrorClass.TLS_FAILURE
    assert "closed the connection during the TLS handshake" in observed.message


@pytest.mark.parametrize("host", ["nowhere.invalid", "unknown.host"])
async def test_an_unknown_host_is_reported_as_dns_failure(run_check: HttpCheckDriver, host: str) -> None:
    observed = await run_check(f"https://{host}:8443/health?code=hidden")
    assert observed.error is ErrorClass.DNS_FAILURE
    assert observed.message.startswith(f"The DNS has no address for {host}: ")


@pytest.mark.parametrize("url", ["http://" + "a" * 70 + ".localhost/", "http://a..localhost/", "http://xn--ü/"])
async def test_a_host_that_can_be_no_name_is_reported_as_dns_failure(run_check: HttpCheckDriver, url: str) -> None:
    observed = await run_check(url)
    assert observed.error is ErrorClass.DNS_FAILURE
    assert "is not a valid host name" in observed.message


async def test_a_ca_file_that_is_missing_is_not_the_targets_fault(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        observed = await run_check(server.url, tls={"ca_file": "/nowhere/ca.pem"})
    assert observed.error is ErrorClass.INTERNAL_ERROR
    assert observed.message.startswith(
        "The CA file /nowhere/ca.pem of this target cannot be used: it must be a regular file of at most 1 MiB"
    )


async def test_a_secret_in_an_error_is_accepted_out(run_check: HttpCheckDriver) -> None:
    run_check.redactor.add_permanent("nowhere")
    assert "for ***.invalid" in (await run_check("http://nowhere.invalid/")).message


async def test_a_mistake_of_ours_is_not_counted_as_an_error_of_the_target(target: HttpTarget) -> None:
    async def broken(name: str) -> str:
        raise ZeroDivisionError

    async with open_http_check() as run_check:
        run_check.secrets.get_secret = broken  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await run_check(target.url, auth={"kind": "bearer", "token": {"secret": "x"}})


# --- what loopback cannot show ---

PEER = Peer("checkout.internal", 443)


def _gaierror(code: int) -> socket.gaierror:
    return socket.gaierror(code, "whatever")


def _tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "whatever")
    error.reason = reason
    return error


def _certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "whatever")
    error.verify_code, error.verify_message = code, "unsuitable {certificate} purpose"
    return error


@pytest.mark.parametrize(
    ("error", "phase", "error_class", "expected"),
    [
        (_gaierror(socket.EAI_AGAIN), "dns", "dns_failure", "The DNS gave no answer about checkout.internal"),
        (
            _gaierror(socket.EAI_FAIL),
            "dns",
            "dns_failure",
            "checkout.internal could not be resolved (whatever): check the DNS zone",
        ),
        (OSError(113, "No route to host"), "connect", "connection_failed", "no route to checkout.internal:443"),
        (OSError(101, "Network is unreachable"), "connect", "connection_failed", "the VNet peering"),
        (
            OSError(24, "Too many open files"),
            "connect",
            "out_of_resources",
            "this machine lacks a resource (Too many",
        ),
        (OSError(22, "Invalid argument"), "connect", "connection_failed", "Invalid argument."),
        (TimeoutError(110, "Connection timed out"), "connect", "connect_timeout", "a firewall drops the packets"),
        (ConnectionResetError(104, "reset"), "connect", "connection_reset", "before its response"),
        (OSError(113, "No route to host"), "body", "connection_failed", "no route to checkout.internal:443"),
        (_certificate(23), "tls", "tls_certificate", "has been revoked"),
        (_certificate(27), "tls", "tls_certificate", "was not accepted: unsuitable {certificate} purpose."),
        (_tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "first_byte", "tls_failure", "requires a client certificate"),
        (_tls("UNSUPPORTED_PROTOCOL"), "tls", "tls_failure", "too old to be safe"),
        (_tls("BAD_ECPOINT"), "tls", "tls_failure", "could not agree on one (bad ecpoint)"),
        (ssl.SSLError("nothing known"), "tls", "tls_failure", "could not agree on one (unknown)"),
        (
            ssl.SSLError(1, "[SSL] brand new fault (_ssl.c:1006)"),
            "tls",
            "tls_failure",
            "could not agree on one (brand new fault)",
        ),
        (ssl.SSLError(1, "[SSL] record layer failure (_ssl.c:1006)"), "tls", "tls_failure", "damaged in transit"),
    ],
)
def test_an_error_is_explained(error: Exception, phase: Any, error_class: str, expected: str) -> None:
    explained = classify_error(error, phase, PEER)
    assert explained is not None
    assert explained[0] == error_class
    assert expected in explained[1]


def test_what_no_one_foresaw_is_not_explained() -> None:
    assert classify_error(ValueError("surprise"), "body", PEER) is None


def test_an_ipv6_peer_is_written_in_brackets() -> None:
    assert str(Peer("::1", 80)) == "[::1]:80"
