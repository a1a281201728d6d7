"""The TCP check connects, and goes through its dialogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jobs.checks.clock import PhaseClock, describe_deadline
from jobs.checks.guard import Guard, TargetRules
from jobs.checks.kinds.tcp import TcpCheck
from jobs.checks.net.network import Network
from jobs.checks.net.tls_contexts import TlsContexts
from jobs.checks.port import AttemptContext
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets.tcp import TcpTarget
from tests.jobs.checks.http_check import MemorySecrets
from tests.parts.bad_servers import refused_port
from tests.parts.tls import ca_file, server_context

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def run_check(
    port: int, *dialogue: dict[str, Any], guard: Guard | None = None, clock: PhaseClock | None = None, **target: Any
) -> Observation:
    network = Network() if guard is None else Network(guard)
    check = TcpCheck(MemorySecrets({"word": "open-sesame"}), Redactor(), network, TlsContexts())
    known = {"kind": "tcp", "host": "127.0.0.1", "port": port, "dialogue": dialogue}
    return await check.observe(
        TcpTarget.model_validate({**known, **target}), AttemptContext("j@1", 1, clock or PhaseClock())
    )


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.test ready\r\n")
    while line := await reader.readline():
        if line == b"STARTTLS\r\n":
            writer.write(b"220 go ahead\r\n")
            await writer.start_tls(server_context("good"))
        else:
            writer.write(b"250 heard " + line)


async def test_a_port_that_accepts_is_enough() -> None:
    async with serving(silent) as port:
        observed = await run_check(port)
    assert observed.error is None
    assert observed.facts == {"connected": True, "remote_address": "127.0.0.1"}
    assert observed.phases.connect_ms is not None


async def test_a_dialogue_is_gone_through_line_by_line() -> None:
    async with serving(mail) as port:
        observed = await run_check(port, {"receive": "^220 "}, {"send": "EHLO probe\r\n"}, {"receive": "heard EHLO"})
    assert observed.error is None
    assert observed.body.startswith(b"220 mail.test ready\r\n250 heard EHLO")


async def test_a_dialogue_may_start_tls() -> None:
    async with serving(mail) as port:
        observed = await run_check(
            port,
            {"receive": "^220 "},
            {"send": "STARTTLS\r\n"},
            {"receive": "go ahead"},
            {"starttls": True},
            {"send": "EHLO again\r\n"},
            {"receive": "again"},
            tls={"ca_file": ca_file()},
        )
    assert observed.error is None, observed.message
    assert observed.facts["tls_version"] == "TLSv1.3"
    assert observed.certificates


@pytest.mark.parametrize("starttls", [False, True])
async def test_the_name_that_a_certificate_is_for_may_be_reported(starttls: bool) -> None:
    dialogue = [{"receive": "^220 "}, {"send": "STARTTLS\r\n"}, {"receive": "go ahead"}, {"starttls": True}]
    tls = {"tls": {"ca_file": ca_file()}, "server_name": "localhost"}
    if starttls:
        async with serving(mail) as port:
            observed = await run_check(port, *dialogue, **tls)
            other = await run_check(port, *dialogue, **{**tls, "server_name": "other.example"})
    else:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_context())
        async with server:
            port = server.sockets[0].getsockname()[1]
            observed = await run_check(port, **tls)
            other = await run_check(port, **{**tls, "server_name": "other.example"})
    assert observed.error is None, observed.message
    assert other.error is ErrorClass.TLS_CERTIFICATE
    assert "not valid for other.example" in other.message


async def test_what_came_instead_is_reported() -> None:
    async with serving(mail) as port:
        observed = await run_check(
            port, {"receive": "^220 "}, {"send": "QUIT\r\n"}, {"receive": "nothing of it"}, read_limit=36
        )
    assert observed.error is ErrorClass.EXPECTATION_FAILED
    assert "expected a match of 'nothing of it', received" in observed.message
    assert "250 heard QUIT" in observed.message


async def test_an_end_before_the_match_is_reported() -> None:
    async def curt(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"busy\r\n")

    async with serving(curt) as port:
        observed = await run_check(port, {"receive": r"22\d"})
    assert observed.error is ErrorClass.EXPECTATION_FAILED
    assert "closed the connection too early: expected a match of '22\\\\d', received 'busy" in observed.message


async def test_a_secret_that_is_sent_is_not_reported() -> None:
    async with serving(mail) as port:
        observed = await run_check(
            port, {"receive": "220"}, {"send": {"secret": "word"}}, {"send": "\n"}, {"receive": "xxx"}, read_limit=40
        )
    assert "open-sesame" not in observed.message
    assert "***" in observed.message


async def test_a_closed_port_refuses() -> None:
    async with refused_port() as port:
        observed = await run_check(port.port)
    assert observed.error is ErrorClass.CONNECTION_REFUSED


async def test_the_guard_is_queried() -> None:
    async with serving(silent) as port:
        observed = await run_check(port, guard=Guard(TargetRules()))
    assert observed.error is ErrorClass.TARGET_DENIED


async def test_silence_lasts_until_the_deadline() -> None:
    async with serving(silent) as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await run_check(port, {"receive": "220"})


async def test_a_silent_server_is_no_port_that_no_one_answers_at() -> None:
    clock = PhaseClock()
    async with serving(silent) as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await run_check(port, {"receive": "220"}, clock=clock)
    assert clock.current == "first_byte"


async def test_a_secret_that_was_half_heard_is_not_shown() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"you said " + (await reader.readexactly(11))[:7])

    async with serving(echo) as port:
        observed = await run_check(port, {"send": {"secret": "word"}}, {"receive": "welcome"})
    assert observed.message.endswith("received 'you said ***'.")


def sends(*pieces: bytes) -> Talk:
    """Send these pieces one after the other, each as a packet of its own, and keep the connection open."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    return talk


async def at_the_deadline(port: int, *dialogue: dict[str, Any], until: bytes, **target: Any) -> tuple[ErrorClass, str]:
    """What the runner records where the deadline passes once these bytes have been received."""
    clock = PhaseClock()
    requesting = asyncio.create_task(run_check(port, *dialogue, clock=clock, **target))
    async with asyncio.timeout(30):
        while repr(until)[2:-1] not in describe_deadline(clock, f"tcp://127.0.0.1:{port}", 5.0)[1]:
            assert not requesting.done(), requesting.result()
            await asyncio.sleep(0.001)
    reported = describe_deadline(clock, f"tcp://127.0.0.1:{port}", 5.0)
    requesting.cancel()
    await asyncio.gather(requesting, return_exceptions=True)
    return reported


@pytest.mark.parametrize("piece", [b"SSH-2.0-OpenSSH_9.6\r\n", b"221 bye\r\n", b"220-mail.test\r\n220 ready\r\n"])
async def test_a_wrong_banner_fails_at_once_though_the_connection_stays_open(piece: bytes) -> None:
    async with serving(sends(piece)) as port:
        observed = await run_check(port, {"receive": "^220 "})

    shown = repr(piece)[2:-1]
    assert observed.error is ErrorClass.EXPECTATION_FAILED
    assert observed.message == f"127.0.0.1:{port} sent something else: expected a match of '^220 ', received '{shown}'."


async def test_a_banner_that_comes_byte_by_byte_is_a_match() -> None:
    async with serving(sends(*(bytes([byte]) for byte in "220 été\r\n".encode()))) as port:
        observed = await run_check(port, {"receive": "^220 été"})
    assert observed.error is None, observed.message


async def test_a_wrong_answer_to_starttls_fails_at_once() -> None:
    async with serving(sends(b"454 TLS not available\r\n")) as port:
        observed = await run_check(port, {"send": "STARTTLS\r\n"}, {"receive": "^220 "}, {"starttls": True})
    assert observed.error is ErrorClass.EXPECTATION_FAILED
    assert "received '454 TLS not available" in observed.message


async def test_a_binary_banner_is_shown_as_its_bytes() -> None:
    async with serving(sends(b"\xff\xfd\x18\x00")) as port:
        observed = await run_check(port, {"receive": "^login:"})
    assert observed.error is ErrorClass.EXPECTATION_FAILED
    assert observed.message.endswith(r"received '\xff\xfd\x18\x00'.")


@pytest.mark.parametrize(
    ("pattern", "piece"), [("^220 ", b"22"), ("ready", b"220 busy"), ("^220 .*ready$", b"220 mail, wait")]
)
async def test_what_may_still_become_a_match_has_failed_at_the_deadline(pattern: str, piece: bytes) -> None:
    async with serving(sends(piece)) as port:
        error, message = await at_the_deadline(port, {"receive": pattern}, until=b"received '" + piece)

    assert error is ErrorClass.EXPECTATION_FAILED
    assert message == (
        f"127.0.0.1:{port} did not send what was expected within 5 s: "
        f"expected a match of {pattern!r}, received '{piece.decode()}'."
    )


async def test_a_server_that_sends_nothing_has_timed_out_at_the_deadline() -> None:
    async with serving(silent) as port:
        error, message = await at_the_deadline(port, {"receive": "^220 "}, until=b"received nothing")
    assert error is ErrorClass.RESPONSE_TIMEOUT
    assert message.endswith("Expected a match of '^220 ', received nothing.")


async def test_a_server_that_falls_silent_after_its_banner_has_timed_out_at_the_deadline() -> None:
    async with serving(sends(b"220 ready\r\n")) as port:
        error, _ = await at_the_deadline(
            port, {"receive": "^220 "}, {"send": "NOOP\r\n"}, {"receive": "250"}, until=b"'250', received nothing"
        )
    assert error is ErrorClass.RESPONSE_TIMEOUT


async def test_a_handshake_that_hangs_after_starttls_is_not_reported_of_the_line_before() -> None:
    dialogue = [{"receive": "^220 "}, {"starttls": True}]
    async with serving(sends(b"220 go ahead\r\n")) as port:
        error, message = await at_the_deadline(port, *dialogue, until=b"did not finish the handshake")
    assert error is ErrorClass.TLS_TIMEOUT
    assert "220" not in message
