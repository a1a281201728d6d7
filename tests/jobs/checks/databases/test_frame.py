"""What holds for the checks of all databases: the guard, bounds, servers that are something else."""

from __future__ import annotations

import asyncio
import json
import math
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import ip_network
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.checks import databases
from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import PhaseClock, describe_deadline
from jobs.checks.database_answers import ServerSentTooMuch, encode_rows
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD, Guard, TargetRules
from jobs.checks.kinds.redis import build
from jobs.checks.kinds.sqlserver import SqlServerDriver
from jobs.checks.net import network
from jobs.checks.net.network import ResolvedAddress
from jobs.checks.port import AttemptContext
from jobs.redaction import Redactor
from jobs.running.attempts import has_rejected_credentials
from jobs.runs import Attempt, ErrorClass, Phases
from tests.jobs.checks.databases.driver import make_target, observe, observe_for
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.parts.databases import PASSWORD
from tests.parts.tds_server import TdsServer

KINDS = ("postgres", "mysql", "sqlserver", "redis")
_GREETING = (
    b"\x0a5.7.0\0" + bytes(4) + b"8 bytes." + b"\0\xff\xf7\x21\2\0\0\0\x15" + bytes(10) + b"12 bytes ...\0name\0"
)
MYSQL_WITHOUT_TLS = len(_GREETING).to_bytes(4, "little") + _GREETING
"""A greeting whose capabilities lack that of TLS (0x800)."""


@contextmanager
def sending(data: bytes | None, received: bytearray | None = None) -> Iterator[int]:
    """A server that sends the same bytes to each client, and then stays silent. None: it closes."""
    received = bytearray() if received is None else received

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            if data is None:
                peer.shutdown(socket.SHUT_WR)
            else:
                peer.sendall(data)
            while part := peer.recv(4096):
                received.extend(part)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_without_an_answer_is_named_at_the_deadline(kind: str) -> None:
    with sending(b"") as port:
        error, message = await observe_for(2.0, kind, port)
    assert error is ErrorClass.RESPONSE_TIMEOUT
    assert message.startswith("No sign-in at localhost:")


@pytest.mark.parametrize("kind", KINDS)
async def test_the_deadline_ends_the_thread(kind: str) -> None:
    with sending(b"") as port:
        await observe_for(1.0, kind, port)
        for _ in range(500):
            if not any("_converse" in thread.name for thread in threading.enumerate()):
                return
            await asyncio.sleep(0.01)
    raise AssertionError("the thread of the driver still waits")


@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_settings_deny_is_not_connected_to(kind: str) -> None:
    seen = await observe(kind, 5432, host="169.254.169.254", guard=Guard(TargetRules()))
    assert seen.error is ErrorClass.TARGET_DENIED


@pytest.mark.parametrize("before", [*range(140, 200, 9), *range(540, 600, 9)])
async def test_a_secret_in_a_long_text_of_the_server_is_redacted_before_the_text_is_cut(before: int) -> None:
    secret = "canary-" + "0123456789" * 4
    with sending(f"-WRONGPASS {'x' * before}{secret}\r\n".encode()) as port:
        seen = await observe("redis", port, secret=secret, tls="none")
    assert seen.error is ErrorClass.AUTH_FAILED
    assert "canary" not in seen.message
    assert len(seen.message) <= 600


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("secret", ["", "with-a-newline\n", "with\0nul", "with-half-a-pair\ud800"])
async def test_a_secret_that_cannot_be_a_password_is_named_and_not_sent(kind: str, secret: str) -> None:
    received = bytearray()
    with sending(b"", received) as port:
        seen = await observe(kind, port, secret=secret)
    assert seen.error is ErrorClass.SECRET_UNAVAILABLE
    assert seen.message.startswith("The secret db ")
    assert "with-" not in seen.message
    assert not received


@pytest.mark.parametrize("kind", KINDS)
async def test_a_web_server_is_something_else(kind: str) -> None:
    page = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n" * 40
    with sending(page) as port:
        error, _ = await observe_for(2.0, kind, port, tls="none")
    waits = ErrorClass.RESPONSE_TIMEOUT  # for what its first bytes announce
    assert error in (ErrorClass.PROTOCOL_ERROR, ErrorClass.CONNECTION_RESET, waits)


@pytest.mark.parametrize(
    ("kind", "greeting"), [("postgres", b"N"), ("mysql", MYSQL_WITHOUT_TLS)], ids=["postgres", "mysql"]
)
async def test_a_server_without_tls_gets_neither_user_nor_password(kind: str, greeting: bytes) -> None:
    received = bytearray()
    with sending(greeting, received) as port:
        seen = await observe(kind, port)
    assert seen.error is ErrorClass.TLS_FAILURE
    assert "offers no TLS" in seen.message
    assert b"monitor" not in received


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("SASL authentication failed", ErrorClass.AUTH_FAILED),
        ("no more connections allowed (max_client_conn)", ErrorClass.TOO_MANY_CONNECTIONS),
        ("no such database: shop", ErrorClass.STATEMENT_FAILED),
    ],
)
async def test_errors_of_pgbouncer_are_known_by_their_texts(text: str, error: ErrorClass) -> None:
    fields = b"SFATAL\x00C08P01\x00M" + text.encode() + b"\x00\x00"
    with sending(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields) as port:
        seen = await observe("postgres", port, tls="none")
    assert (seen.error, text in seen.message) == (error, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_closes_the_connection_does_not_seem_to_lack_tls(kind: str) -> None:
    with sending(None) as port:
        seen = await observe(kind, port)
    assert seen.error in (ErrorClass.CONNECTION_RESET, ErrorClass.TLS_FAILURE)
    assert re.search("closed|reset", seen.message)
    assert "tls: none" not in seen.message


async def test_a_check_that_waits_for_others_does_not_blame_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "MAX_THREADS", 1)
    dependencies = CheckDependencies(MemorySecrets({"db": PASSWORD}), MemoryTokens(), Redactor(), LOCAL_GUARD)
    check, clock = build(dependencies, {}), PhaseClock()
    with sending(b"") as port:
        target = make_target("redis", port)
        silent = asyncio.ensure_future(check.observe(target, AttemptContext("j@1", 1, PhaseClock())))
        waiting = asyncio.ensure_future(check.observe(target, AttemptContext("j@2", 1, clock)))
        await asyncio.wait({silent, waiting}, timeout=0.2)
        error, message = describe_deadline(clock, target.endpoint, 0.2)
        silent.cancel()
        waiting.cancel()
        await asyncio.wait({silent, waiting})
    dependencies.close()
    assert error is ErrorClass.OUT_OF_RESOURCES
    assert message.endswith("was not checked within 200 ms: other checks of databases take all 1 threads.")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=200))
def test_any_bytes_are_an_error_of_a_known_class(kind: str, data: bytes) -> None:
    async def ask() -> ErrorClass | None:
        with sending(data) as port:
            try:
                async with asyncio.timeout(0.05):
                    return (await observe(kind, port, tls="none")).error
            except TimeoutError:
                return ErrorClass.RESPONSE_TIMEOUT  # it waits for more

    assert asyncio.run(ask()) in ErrorClass


async def test_a_redirect_within_the_domain_is_followed_through_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_look_up", lambda _, port: [ResolvedAddress(socket.AF_INET, "127.0.0.1", port)])
    fields: dict[str, Any] = {"host": "shop.db.invalid", "tls": {"verify": False}}
    async with (
        TdsServer([PASSWORD], rows={"Updateability": [["16.0", "READ_WRITE"]]}) as node,
        TdsServer([PASSWORD], route=("n1.worker.db.invalid", node.port)) as gateway,
    ):
        seen = await observe("sqlserver", gateway.port, **fields)
        only_gateway = Guard(TargetRules(networks=(ip_network("127.0.0.0/8"),), ports=((gateway.port, gateway.port),)))
        denied = await observe("sqlserver", gateway.port, guard=only_gateway, **fields)
    assert (seen.error, seen.message) == (None, "")
    assert node.batches
    assert denied.error is ErrorClass.TARGET_DENIED


async def test_without_its_driver_a_run_says_how_to_get_it() -> None:
    with mock.patch.object(SqlServerDriver, "__init__", side_effect=ModuleNotFoundError(name="pytds")):
        seen = await observe("sqlserver", 1433)
    assert seen.error is ErrorClass.INTERNAL_ERROR
    assert "requirements-databases.txt" in seen.message


def test_a_refused_sign_in_looks_for_a_newer_secret() -> None:
    attempt = Attempt(1, datetime(2026, 12, 1, tzinfo=UTC), Phases(), error=ErrorClass.AUTH_FAILED)
    assert has_rejected_credentials(attempt)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"entra": True}, "entra and password cannot be combined"),
        ({"entra": True, "password": None, "tls": "none"}, "a token must not be readable"),
        ({"statement": "DELETE FROM orders"}, "a statement that only reads"),
        ({"statement": "SELECT 1; DROP TABLE x"}, "one statement without a semicolon"),
        ({"statement": "SELECT 1 INTO OUTFILE '/x'"}, "a statement that only reads"),
        ({"tls": {"client_certificate": {"secret": "c"}}}, "not supported for databases"),
    ],
)
def test_a_definition_that_cannot_work_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_target("postgres", 5432, **fields)


def test_a_command_that_writes_is_refused() -> None:
    with pytest.raises(ValueError, match="only reads one value"):
        make_target("redis", 6380, command=["FLUSHALL"])


def test_rows_that_are_large_as_json_fail() -> None:
    with pytest.raises(ServerSentTooMuch, match="more than 1024 KiB"):
        encode_rows([{"text": "\x00" * 4096}] * 100)


def test_a_value_is_as_near_to_json_as_it_can_be() -> None:
    row = {"n": Decimal("1.5"), "nan": math.nan, "day": date(2026, 12, 1), "raw": b"a\xff", "none": None, "yes": True}
    assert json.loads(encode_rows([row])) == {
        "rows": [{"n": 1.5, "nan": "nan", "day": "2026-12-01", "raw": "a\ufffd", "none": None, "yes": True}]
    }


async def test_large_rows_hold_memory_as_other_bodies_do() -> None:
    rows = {"Updateability": [["16.0", "READ_WRITE"]], "FROM t": [["x" * 3000]] * 40}
    memory = BodyMemory(1000)
    call = AttemptContext("j@1", 1, PhaseClock(), body_reservation=memory.open_reservation("j", "localhost"))
    async with TdsServer([PASSWORD], rows=rows) as server:
        seen = await observe("sqlserver", server.port, call=call, statement="SELECT a FROM t")
    assert memory.held > 100_000, "a body that is larger than a share is read alone"
    assert seen.error is None
