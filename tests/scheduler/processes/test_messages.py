"""What processes say to each other: results come back as they were, without secrets; the channel has its limits."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.redaction import REDACTED, Redactor
from jobs.running.attempt_series import SeriesResult
from jobs.runs import Attempt, ErrorClass, Failure, Phases, Severity
from jobs.runs.details import (
    CertificateDetail,
    Details,
    DnsDetail,
    EntryEffect,
    EntryStatus,
    HealthDetail,
    ReportedEntry,
    StepDetail,
    StepOutcome,
    TlsDetail,
)
from scheduler.processes import messages
from scheduler.processes.messages import (
    Channel,
    decode_attempts,
    decode_result,
    decode_retried,
    encode_attempts,
    encode_result,
    encode_retried,
    remember,
)
from tests.jobs.checks.http_check import wait_until
from tests.scheduler.processes.pool_parts import job

TEXT = st.text(max_size=12)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
NOW = datetime(2026, 12, 3, tzinfo=UTC)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2286, 1, 1), timezones=st.just(UTC))
SECONDS = INSTANTS.map(lambda instant: instant.replace(microsecond=0))
MILLISECONDS = st.floats(0, 1e7).map(lambda value: round(value, 3))
COUNTS = st.integers(0, 100)
DETAILS = st.builds(
    Details,
    steps=st.lists(
        st.builds(StepDetail, TEXT, st.none() | COUNTS, MILLISECONDS, st.just(StepOutcome.FAILED), TEXT, st.booleans()),
        max_size=2,
    ).map(tuple),
    tls=st.none() | st.builds(TlsDetail, TEXT, st.builds(CertificateDetail, TEXT, TEXT, TEXTS, COUNTS, SECONDS)),
    dns=st.none() | st.builds(DnsDetail, TEXT, TEXTS, COUNTS, st.none() | COUNTS, TEXT),
    health=st.none()
    | st.builds(
        HealthDetail,
        TEXT,
        st.sampled_from(EntryStatus),
        st.lists(
            st.builds(
                ReportedEntry,
                TEXT,
                st.sampled_from(EntryStatus),
                TEXT,
                TEXT,
                st.none() | COUNTS,
                TEXT,
                st.sampled_from(EntryEffect),
            ),
            max_size=2,
        ).map(tuple),
        COUNTS,
    ),
).filter(lambda details: details != Details())
PHASES = st.builds(Phases, *[st.none() | MILLISECONDS] * 4, MILLISECONDS)
ATTEMPTS = st.builds(
    Attempt,
    number=st.just(1),
    started_at=INSTANTS,
    phases=PHASES,
    status=st.none() | st.integers(100, 599),
    error=st.none() | st.sampled_from(ErrorClass),
    message=TEXT,
    failures=st.lists(st.builds(Failure, TEXT, TEXT, TEXT, st.sampled_from(Severity)), max_size=3).map(tuple),
    wait_ms=st.none() | MILLISECONDS,
    body=TEXT,
    details=st.none() | DETAILS,
)


LACKS = st.floats(0, 1e6)


@st.composite
def results(draw: st.DrawFn) -> SeriesResult:
    drawn = draw(st.lists(ATTEMPTS, max_size=3))
    attempts = [_numbered(attempt, number) for number, attempt in enumerate(drawn, start=1)]
    texts = draw(st.tuples(TEXT, TEXT)), draw(TEXT)
    is_overdue, is_unknown = draw(st.tuples(st.booleans(), st.booleans()))
    lacks = draw(LACKS), draw(LACKS)
    return SeriesResult(tuple(attempts), draw(INSTANTS), is_overdue, *texts[0], is_unknown, *lacks, texts[1])


def _numbered(attempt: Attempt, number: int) -> Attempt:
    return replace(attempt, number=number)


def keep(text: str, *, cut: bool = False) -> str:
    return text


def sent(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(results())
def test_a_result_comes_back_as_it_was(result: SeriesResult) -> None:
    assert decode_result(sent(encode_result(result)), keep) == result
    assert decode_attempts(sent(encode_attempts(result.attempts)), keep) == result.attempts


@given(ATTEMPTS, st.integers(1, 9))
def test_a_repeated_attempt_comes_back_as_it_was(attempt: Attempt, number: int) -> None:
    attempt = _numbered(attempt, number)
    assert decode_retried(sent(encode_retried(attempt)), keep) == attempt


@given(results(), st.integers(0, 20))
def test_no_text_of_a_result_contains_a_secret(result: SeriesResult, at: int) -> None:
    """The other process does not know the secrets of jobs that it has not executed."""
    redactor = Redactor()
    redactor.add_permanent("hunter2!")

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, str) and key != "error":
            return f"{value[:at]}hunter2!{value[at:]}"
        if isinstance(value, dict):
            return {name: spoil(item, name) for name, item in value.items()}
        return [spoil(item) for item in value] if isinstance(value, list) else value

    decoded = repr(decode_result(spoil(sent(encode_result(result))), redactor.redact))

    assert "hunter2" not in decoded
    assert not any(attempt.message for attempt in result.attempts) or REDACTED in decoded


def test_both_ends_forget_the_same_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is renamed again and again must not fill the memory."""
    monkeypatch.setattr(messages, "MAX_DEFINITIONS", 3)
    here: dict[str, Any] = {}
    there: dict[str, Any] = {}
    for number in (*range(5), 3, 5, 3):
        definition = job("http://a.test", name=f"job-{number}")
        remember(here, definition)
        remember(there, definition)
        assert definition.name in here

    assert list(here) == list(there) == ["job-3", "job-4", "job-5"]


async def test_what_is_sent_arrives_in_order_and_whole() -> None:
    frames: list[bytes] = []
    async with open_channel(frames) as (channel, other):
        contents = [b"", b"a" * 100_000, b"{}"]
        for content in contents:
            channel.send(content)
        loop, received = asyncio.get_running_loop(), b""
        while len(received) < sum(map(len, contents)) + 12:
            received += await loop.sock_recv(other, 65536)
        for at in range(0, len(received), 33_000):  # arrives in pieces
            await loop.sock_sendall(other, received[at : at + 33_000])
        await wait_until(lambda: len(frames) == 3)

        assert frames == contents


async def test_a_message_that_is_too_long_ends_the_channel_before_it_is_held() -> None:
    frames: list[bytes] = []
    ended = asyncio.Event()
    async with open_channel(frames, ended) as (_, other):
        other.send(b"\x00\x00\x00\x02{}" + (messages.MAX_FRAME_BYTES + 1).to_bytes(4) + b"xxxx")
        await asyncio.wait_for(ended.wait(), 20)

        assert frames == [b"{}"]


@asynccontextmanager
async def open_channel(
    frames: list[bytes], ended: asyncio.Event | None = None
) -> AsyncIterator[tuple[Channel, socket.socket]]:
    """Open a channel that collects its frames, and return the socket at its other end."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    channel = Channel(frames.append, (ended or asyncio.Event()).set)
    await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=ours)
    with theirs:
        yield channel, theirs
        channel.close()
        await asyncio.sleep(0)


def test_entries_that_are_not_stored_arrive_without_secrets() -> None:
    redactor = Redactor()
    redactor.add_permanent("hunter2!")
    rest = tuple(ReportedEntry(f"q{number} hunter2!", EntryStatus.UP, "up") for number in range(3))
    health = HealthDetail("up", EntryStatus.UP, (), 3, rest)
    attempt = Attempt(1, NOW, Phases(), details=Details(health=health))
    (decoded,) = decode_result(sent(encode_result(SeriesResult((attempt,), NOW))), redactor.redact).attempts
    assert decoded.details is not None
    assert decoded.details.health is not None
    assert [entry.name for entry in decoded.details.health.rest] == ["q0 ***", "q1 ***", "q2 ***"]
