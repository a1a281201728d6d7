"""The texts of run messages: a changed wording shows in the review of their snapshots."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_network
from typing import Any, get_args

import httpx
from syrupy.assertion import SnapshotAssertion

from jobs.checks import errors
from jobs.checks.addresses import OwnEndpoint
from jobs.checks.binding.names import ProtectedResource, Recipient, RequiredTag, parse_host_pattern
from jobs.checks.binding.rules import BindingRule, BindingRules, Bindings
from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import Peer, Phase, describe_timeout
from jobs.checks.error_mapping import CERTIFICATE_REASONS, HANDSHAKE_REASONS, RequestRoute, classify_error
from jobs.checks.guard import Guard, TargetRules
from jobs.checks.http.oauth import parse_token_response
from jobs.checks.http_transport.messages import not_http_error
from jobs.checks.port import Credential
from jobs.heartbeat import HeartbeatRecord, HeartbeatState, PingSchedule, describe_heartbeat

PEER = Peer("db.internal", 5432)


def _errors() -> Iterable[tuple[Phase | None, Exception]]:
    yield None, errors.NoAddressOfVersion("6")
    yield from ((None, errors.TunnelRefused(status, "api.internal:443")) for status in (403, 407, 502, 500))
    yield None, errors.NoResponse()
    yield None, errors.TooManyRedirects(10)
    yield None, errors.IncompleteResponse()
    yield None, errors.MalformedResponse("illegal status line")
    yield None, errors.MalformedHttp2("answered with something that is not HTTP/2 (illegal status)")
    first = (
        b"\x16\x03\x01",
        b"\0\0\x12\x04\0",
        b"SSH-2.0",
        b"220 mail",
        b"+OK",
        b"-ERR",
        b"J\0\0\0\n",
        b"HTTP/7",
        b"<p>",
    )
    yield from ((None, not_http_error(each)) for each in (*first, b"ICY 200", b"\xff"))
    yield None, errors.InvalidRedirect("to a URL without a host")
    yield None, errors.BadContentEncoding("gzip")
    yield None, errors.HeadTooLarge(100 * 1024)
    yield None, errors.TooManyHeaderLines(200, 1000)
    yield None, errors.TooManyHeaderLines("", 1000, redirected=True)
    yield None, errors.TooManyInterimResponses(20)
    yield None, errors.TooManyChunks(20_000, 32)
    yield None, errors.TooManyGzipMembers(1000)
    yield "tls", errors.TooManyTlsRecords(2000, 64)
    yield None, httpx.InvalidURL("IDNA")
    yield from (("dns", socket.gaierror(number, "reason")) for number in (socket.EAI_NONAME, socket.EAI_AGAIN, -99))
    yield from ((phase, UnicodeError()) for phase in ("dns", "tls"))
    for phase in ("connect", "tls", "first_byte", "body"):
        for error in (ConnectionRefusedError(), TimeoutError(), ConnectionResetError()):
            yield phase, error
    yield "connect", OSError(errno.EHOSTUNREACH, "No route to host")
    yield "connect", OSError(errno.EACCES, "Permission denied")
    yield "connect", OSError(errno.EMFILE, "Too many open files")
    yield "tls", _tls_error(ssl.SSLError(1, "[SSL: X] x (_ssl.c:1)"), reason="TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
    for reason in (*HANDSHAKE_REASONS, "UNEXPECTED_MESSAGE"):
        yield "tls", _tls_error(ssl.SSLError(1, "[SSL: X] x (_ssl.c:1)"), reason=reason)
    for code in (*CERTIFICATE_REASONS, 1):
        yield "tls", _tls_error(ssl.SSLCertVerificationError(1, "x"), verify_code=code, verify_message="a new reason")


def _tls_error(error: ssl.SSLError, **attributes: Any) -> ssl.SSLError:
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def test_messages_of_errors(text_snapshot: SnapshotAssertion) -> None:
    lines = []
    for phase, error in _errors():
        found = classify_error(error, phase, PEER)
        assert found is not None, error
        lines.append(f"{found[0].value}: {found[1]}")
    assert _text(lines) == text_snapshot


def test_messages_of_timeouts(text_snapshot: SnapshotAssertion) -> None:
    lines = [describe_timeout(phase, "https://api.internal/health", 5.0)[1] for phase in (*get_args(Phase), None)]
    assert _text([*lines, describe_timeout(None, "dns://10.0.0.1:53/a.internal", 5.0)[1]]) == text_snapshot


def test_messages_of_the_guard(text_snapshot: SnapshotAssertion) -> None:
    guard = Guard(
        TargetRules(
            networks=(ip_network("10.1.0.0/16"),),
            hosts=("*.internal", "*.*.*.*", "*:*"),
            ports=((80, 80), (443, 443)),
            schemes=frozenset({"https"}),
            identity_endpoints=("http://10.1.0.9:80/token",),
            own_endpoints=(OwnEndpoint("10.1.0.8", 443),),
            own_hosts=("scheduler.internal",),
        )
    )
    places = [
        ("db.example", 443),
        ("db.internal", 25),
        ("scheduler.internal", 443),
        ("10.1.0.8", 443),
        ("10.1.0.9", 80),
    ]
    addresses = ["10.2.0.1", "127.0.0.1", "169.254.169.254", "168.63.129.16", "224.0.0.1", "0.0.0.0", "192.0.2.1"]
    addresses += ["100.64.0.1", "198.18.0.1", "64:ff9b::a9fe:a9fe", "::ffff:10.2.0.1", "fe80::1", "64:ff9b:1::1"]
    lines = [guard.explain_denial("http://db.internal/"), *(guard.explain_denial_at(*place) for place in places)]
    lines += [guard.explain_denial_at(address, 443) for address in addresses]
    lines.append(_raised(partial(guard.check_address, "db.internal", "10.2.0.1", 443)))
    assert all(lines)
    assert _text(lines) == text_snapshot


def test_messages_of_bindings(text_snapshot: SnapshotAssertion) -> None:
    rule = BindingRule((parse_host_pattern("*.internal"),))
    rules = BindingRules({"checkout": rule, "tagged": BindingRule(rule.hosts, (RequiredTag("team", "checkout"),))})
    bindings = Bindings(
        secrets=rules, unbound_secrets=False, unbound_scopes=False, own_services=frozenset({ProtectedResource.VAULT})
    )
    recipients = [Recipient.from_host("api.example", 443), Recipient.from_host("::1", 443)]
    names = [("secret", name) for name in ("checkout", "tagged", "other")]
    names += [("scope", f"https://{host}/.default") for host in ("api.other", "storage.azure.com", "vault.azure.net")]
    lines = [_raised(partial(bindings.check, Credential(*each), recipients, {})) for each in names]  # type: ignore[arg-type]
    assert _text(lines) == text_snapshot


def test_messages_of_token_responses(text_snapshot: SnapshotAssertion) -> None:
    codes = ["invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "invalid_target", "access_denied"]
    codes += ["unauthorized_client", "unsupported_grant_type", "another_code"]
    bodies = [(400, f'{{"error": "{code}"}}') for code in codes]
    bodies += [(302, ""), (404, ""), (429, ""), (503, ""), (200, "[]"), (200, "{}")]
    bodies += [(200, '{"access_token": "a", "token_type": "MAC"}'), (401, '{"error_description": "AADSTS7000215: x"}')]
    lines = [_raised(partial(parse_token_response, status, body.encode())) for status, body in bodies]
    assert _text(lines) == text_snapshot


def test_messages_of_routes_and_memory(text_snapshot: SnapshotAssertion) -> None:
    route = RequestRoute()
    route.move_to(PEER)
    route.move_to(Peer("login.internal", 443))
    route.proxy = Peer("proxy.internal", 3128)
    memory = BodyMemory(1024 * 1024)
    lines = [route.describe(), memory.open_reservation("checkout", "db.internal").describe_exhaustion(2 * 1024 * 1024)]
    assert _text(lines) == text_snapshot


def test_messages_of_heartbeats(text_snapshot: SnapshotAssertion) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    hour, day = timedelta(hours=1), timedelta(days=1)
    rhythm, once = PingSchedule(period=86_400.0, first_within=86_400.0), PingSchedule()
    sent = {"source": "10.1.2.3", "agent": "curl/8.5"}
    lines = [
        describe_heartbeat(HeartbeatRecord(), once, now),
        describe_heartbeat(HeartbeatRecord(known_since=now), rhythm, now),
        describe_heartbeat(HeartbeatRecord(known_since=now, number=3), rhythm, now),
        describe_heartbeat(HeartbeatRecord(known_since=now - 3 * day), rhythm, now),
        describe_heartbeat(HeartbeatRecord(last_start=now), rhythm, now),
        describe_heartbeat(HeartbeatRecord(last_start=now - 2 * hour), rhythm, now),
        describe_heartbeat(HeartbeatRecord(HeartbeatState.PAUSED), rhythm, now),
        describe_heartbeat(HeartbeatRecord(HeartbeatState.UP, now - hour, **sent), once, now),
        describe_heartbeat(HeartbeatRecord(HeartbeatState.UP, now - hour, **sent), rhythm, now),
        describe_heartbeat(HeartbeatRecord(HeartbeatState.UP, now - day - hour / 2, **sent), rhythm, now),
        describe_heartbeat(HeartbeatRecord(HeartbeatState.UP, now - 3 * day, **sent), rhythm, now),
        describe_heartbeat(
            HeartbeatRecord(HeartbeatState.DOWN, now - hour, exit_code=2, body="disk full"), rhythm, now
        ),
        describe_heartbeat(HeartbeatRecord(HeartbeatState.DOWN, now - hour, overran=True), rhythm, now),
    ]
    assert _text(lines) == text_snapshot


def _raised(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:
        return str(error)
    raise AssertionError("nothing was raised")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
