"""500 generated hostile answers each of receivers, mail servers and calendars: bounded in bytes, time and memory.

`SEEDS=5000 ./dev test tests/acceptance/test_hostile_answers.py` has more.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from jobs.checks.guard import LOCAL_GUARD
from jobs.incidents.rota_calendar import CALENDAR_BYTES
from jobs.judging.calendar_task import CalendarTask
from jobs.judging.process import JudgingProcess, TaskFailed
from jobs.notifications.channels.http_posting import LARGEST_RESPONSE, Posting, post
from jobs.notifications.port import SendFailed
from scheduler.alerting.delivery.channel_resources import GuardedChannelResources
from tests.jobs.incidents.routing.hostile_calendars import PROGRAMS, SHAPES
from tests.parts.bad_servers import BadServer
from tests.parts.notifications import make_channel, message
from tests.scheduler.alerting.delivery.test_channel_resources import FakeSecrets

SEEDS = range(int(os.environ.get("SEEDS", "500")))
MOST_MEMORY = 48 * 1024 * 1024
"""With the servers of the test. Half of it is theirs."""
MOST_SECONDS = 5.0
"""For one answer: a busy machine needs some."""
TIMEOUT = 0.1
"""For one answer, of the channel: servers that stay silent cost it."""
NOW = datetime(2026, 6, 1, tzinfo=UTC)

_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": bytes,
    "": bytes,
}


BOMB = gzip.compress(bytes(128 * 1024 * 1024))


@contextmanager
def bounded_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY


def hostile_response(seed: int) -> bytes:
    """A response whose status, header lines, encodings, framing and body are odd, damaged or large."""
    chance = random.Random(seed)
    body = chance.choice([b"", b"ok", b'{"ok": true}', b"[" * 50_000, bytes(500_000), chance.randbytes(3000)])
    encodings = ["gzip"] if chance.random() < 0.1 else []
    body = BOMB if encodings else body
    before = len(encodings)
    encodings += [chance.choice([*_PACKERS]) for _ in range(chance.choice([0, 0, 1, 1, 2, 3]))]
    for encoding in encodings[before:]:
        body = _PACKERS[encoding](body)
    if chance.random() < 0.3 and body:
        at = chance.randrange(len(body))
        body = chance.choice([body[:at], body[:at] + b"\xff" + body[at + 1 :], body + body, (body * 50)[:500_000]])
    status = chance.choice(["200 OK", "204 None", "302 Found", "429 Wait", "500 No", "999 \x1b[31m", "abc", "200"])
    lines = [f"HTTP/1.{chance.choice('0179')} {status}"]
    lines += [f"Content-Encoding: {', '.join(encodings)}"] * (chance.random() < 0.9)
    lines += chance.choice([[], ["X: y"] * chance.choice([1, 100, 20_000]), [f"X: {'z' * 200_000}"], ["no colon"]])
    lines += chance.choice(
        [[], ["Retry-After: 99999999999999"], ["Retry-After: -1"], ["Location: http://169.254.169.254/"]]
    )
    framing = chance.choice(["length", "wrong", "chunked", "none", "interim"])
    if framing in ("length", "wrong", "interim"):
        lines.append(f"Content-Length: {len(body) + (framing == 'wrong') * chance.choice([-1, 1, 10**12])}")
    if framing == "chunked":
        size = chance.choice([1, 7, 5000])
        parts = [body[at : at + size] for at in range(0, min(len(body), 40_000 * size), size)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + chance.choice(
            [b"0\r\n\r\n", b"zz\r\n"]
        )
        lines.append("Transfer-Encoding: chunked")
    interim = b"HTTP/1.1 103 Early\r\n\r\n" * (5000 if framing == "interim" else 0)
    return interim + "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def hostile_replies(seed: int) -> list[bytes]:
    """The replies of a mail server in order; the last one is sent without end if it is long."""
    chance = random.Random(seed)
    good = [b"220 hi\r\n", b"250-mail\r\n250 SIZE\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 ok\r\n"]
    odd = [
        *(b"", b"\r\n", b"999 what\r\n", b"abc\r\n", b"250", b"421 bye\r\n", b"550 \x1b[31mno\xff\r\n", b"354 go\r\n"),
        *(b"250-x\r\n" * 200, b"250-" + b"y" * 9000 + b"\r\n", b"250-z\r\n" * 20_000, b"250 " + b"a" * 8000 + b"\r\n"),
        *(b"334 more\r\n" * 5, chance.randbytes(500), b"250-AUTH " + b"A " * 3000 + b"\r\n250 x\r\n"),
    ]
    return [*good[: chance.randrange(len(good) + 1)], *(chance.choice(odd) for _ in range(chance.randrange(1, 4)))]


def hostile_calendar(seed: int) -> bytes:
    """A calendar of a program, or of an attack, with lines that are repeated, exchanged, damaged or new."""
    chance = random.Random(seed)
    lines = chance.choice([each for each in [*PROGRAMS.values(), *SHAPES.values()] if len(each) < 20_000]).split(
        b"\r\n"
    )
    new = [
        *(b"BEGIN:VTIMEZONE", b"END:VTIMEZONE", b"BEGIN:STANDARD", b"BEGIN:VEVENT", b"END:VEVENT", b"END"),
        *(b"RRULE:FREQ=SECONDLY", b"RRULE:FREQ=YEARLY;BYMONTH=13", b"RRULE:FREQ=DAILY;COUNT=99999999", b"RRULE:"),
        *(
            b"DTSTART:00010101T000000",
            b"DTSTART:99991231T235959Z",
            b"DTEND:20260601",
            b"DURATION:P9999D",
            b"DURATION:-PT1H",
        ),
        *(
            b"RDATE:20260601T100000Z,20260602",
            b"EXDATE;TZID=None:20260601T090000",
            b"TZOFFSETTO:+9999",
            b"SUMMARY:Anna",
        ),
        *(b"RECURRENCE-ID;RANGE=THISANDFUTURE:20260615T090000Z", b"\xff\xfe", b" folded", b"X" * 500, b"TZID:UTC"),
    ]
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                lines.insert(at, chance.choice(new))
            case 1:
                lines[at] = chance.choice(lines)
            case 2:
                lines[at] = bytes(reversed(lines[at]))
            case _:
                lines[at:at] = lines[at : at + chance.randrange(20)] * chance.randrange(20)
    return b"\r\n".join(lines)


@asynccontextmanager
async def shared() -> AsyncIterator[GuardedChannelResources]:
    secrets = FakeSecrets()
    made = GuardedChannelResources(secrets, secrets, LOCAL_GUARD)
    try:
        yield made
    finally:
        await made.close()


def check_failure(failure: SendFailed | None, seed: int) -> None:
    if failure is not None:
        assert str(failure).isprintable(), seed
        assert len(str(failure)) < 1000, seed
        assert failure.retry_after is None or 0 <= failure.retry_after <= 366 * 86400, seed


async def test_responses_of_receivers() -> None:
    current = b""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(current)
        await writer.drain()

    async with BadServer(behave) as server, shared() as resources:
        with bounded_memory():
            for seed in SEEDS:
                current, start = hostile_response(seed), time.monotonic()
                failure = None
                try:
                    response = await post(resources, Posting.of_json(server.url, {}), timeout_s=TIMEOUT)
                    assert len(response.body) <= LARGEST_RESPONSE
                except SendFailed as error:
                    failure = error
                check_failure(failure, seed)
                assert time.monotonic() - start < MOST_SECONDS, seed


async def test_replies_of_mail_servers() -> None:
    current: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in current:
            writer.write(reply)
            await writer.drain()
            if not await reader.readline():
                return
        while len(current[-1]) > 1000:
            writer.write(current[-1])
            await writer.drain()

    async with BadServer(behave, after_request=False) as server, shared() as resources:
        fields = {"host": "127.0.0.1", "port": server.port, "security": "none", "from": "a@example.com"}
        made = make_channel(kind="email", to=["b@example.com"], **fields).model_copy(update={"timeout": TIMEOUT})
        with bounded_memory():
            for seed in SEEDS:
                current, start = hostile_replies(seed), time.monotonic()
                failure = None
                try:
                    await made.create_sender(resources).send(message(), None)
                except SendFailed as error:
                    failure = error
                check_failure(failure, seed)
                assert time.monotonic() - start < MOST_SECONDS, seed


@pytest.fixture(scope="module")
def process() -> Iterator[JudgingProcess]:
    process = JudgingProcess(CALENDAR_BYTES)
    yield process
    process.stop()


def test_calendars(process: JudgingProcess) -> None:
    for seed in SEEDS:
        task = CalendarTask(
            hostile_calendar(seed), "Europe/Berlin", ("Anna",), NOW - timedelta(days=1), NOW + timedelta(days=70), NOW
        )
        outcome = process.perform(task, 2.0)
        assert not isinstance(outcome, TaskFailed), (seed, outcome)
        assert outcome.seconds < MOST_SECONDS, seed
