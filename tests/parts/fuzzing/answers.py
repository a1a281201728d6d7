"""Hostile answers of receivers, proxies, mail servers and calendars, generated from seeds, and what each costs.

    figures = await FUZZED["receivers"](range(500))
    figures.problems                                # what was not bounded, or not reported, by seed

Used by bench.fuzz and tests.acceptance.test_hostile_answers.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import random
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.checks.guard import LOCAL_GUARD
from jobs.incidents.rota_calendar import CALENDAR_BYTES
from jobs.judging.calendar_task import CalendarTask
from jobs.judging.process import JudgingProcess, TaskDone, TaskFailed
from jobs.notifications.channels.http_posting import MAX_RESPONSE, Posting, post
from jobs.notifications.port import SendFailed
from scheduler.alerting.delivery.channel_resources import GuardedChannelResources
from tests.jobs.checks.http_check import open_http_check
from tests.jobs.incidents.routing.hostile_calendars import PROGRAMS, SHAPES
from tests.parts.bad_servers import BadServer
from tests.parts.notifications import make_channel, message
from tests.scheduler.alerting.delivery.test_channel_resources import FakeSecrets

MAX_MEMORY = 48 * 1024 * 1024
"""Bytes, with the servers, which need half of it."""
MAX_SENT = 24 * 1024 * 1024
"""Bytes that a peer can send before the client closes the connection: most of them are in buffers of the kernel."""
MAX_SECONDS = 5.0
"""For one answer: a busy machine needs some."""
MAX_REPORT = 1000
"""Characters of what the client reports."""
TIMEOUT = 0.1
"""Seconds that the client has for one answer: peers that stay silent cost it."""
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass
class Figures:
    """What the answers of one kind of peer cost. `bytes` and `seconds`: the most for one answer."""

    peer: str
    answers: int = 0
    accepted: int = 0
    """The client used them; it reported the others."""
    bytes: int = 0
    seconds: float = 0.0
    memory: int = 0
    """The peak, in bytes, over all answers."""
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Measure the memory of all answers."""
        tracemalloc.start()
        try:
            yield
            _, self.memory = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        if self.memory > MAX_MEMORY:
            self.problems.append(f"memory reached {self.memory / 1024**2:.0f} MiB")

    def add(self, seed: int, report: str, sent: int, seconds: float) -> None:
        """Add an answer. `report`: empty if it was accepted."""
        self.answers += 1
        self.accepted += not report
        self.bytes, self.seconds = max(self.bytes, sent), max(self.seconds, seconds)
        if not report.isprintable() or len(report) > MAX_REPORT:
            self.problems.append(f"{self.peer}, seed {seed}: reported {report[:MAX_REPORT]!r}")
        if sent > MAX_SENT:
            self.problems.append(f"{self.peer}, seed {seed}: took {sent:,} bytes")
        if seconds > MAX_SECONDS:
            self.problems.append(f"{self.peer}, seed {seed}: took {seconds:.1f} s")


_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": bytes,
    "": bytes,
}


@functools.cache
def _bomb() -> bytes:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return b"".join([*(packer.compress(bytes(1024 * 1024)) for _ in range(128)), packer.flush()])


def hostile_response(seed: int) -> bytes:
    """A response whose status, header lines, encodings, framing and body are odd, damaged or large."""
    chance = random.Random(seed)
    body = chance.choice([b"", b"ok", b'{"ok": true}', b"[" * 50_000, bytes(500_000), chance.randbytes(3000)])
    encodings = ["gzip"] if chance.random() < 0.1 else []
    body = _bomb() if encodings else body
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


class _Peer(BadServer):
    """Sends the replies of the current seed, one for each line or request; a long last one without end."""

    def __init__(self, *, speaks_first: bool) -> None:
        super().__init__(self._reply, after_request=not speaks_first)
        self.replies: Sequence[bytes] = ()
        self.is_endless = False
        self.sent = 0

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, reply in enumerate(self.replies):
            if number and not await reader.readline():
                return
            await self._send(writer, reply)
        while self.is_endless:
            await self._send(writer, self.replies[-1])

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()
        self.sent += len(data)

    def play(self, replies: Sequence[bytes], *, is_endless: bool) -> None:
        self.replies, self.is_endless, self.sent = replies, is_endless and len(replies[-1]) > 1000, 0


@asynccontextmanager
async def _open_resources() -> AsyncIterator[GuardedChannelResources]:
    secrets = FakeSecrets()
    made = GuardedChannelResources(secrets, secrets, LOCAL_GUARD)
    try:
        yield made
    finally:
        await made.close()


async def _report_of(sending: Awaitable[object]) -> str:
    try:
        await sending
    except SendFailed as error:
        wait = error.retry_after
        return str(error) if wait is None or 0 <= wait <= 366 * 86400 else f"\0 retry after {wait} s"
    return ""


async def _post(resources: GuardedChannelResources, url: str) -> None:
    response = await post(resources, Posting.of_json(url, {}), timeout_s=TIMEOUT)
    if len(response.body) > MAX_RESPONSE:
        raise SendFailed(f"\0 {len(response.body)} bytes are held")


async def fuzz_receivers(seeds: Sequence[int]) -> Figures:
    """HTTP responses to messages, and to requests for calendars."""
    figures = Figures("receivers")
    async with _Peer(speaks_first=False) as peer, _open_resources() as resources:
        with figures.measure():
            for seed in seeds:
                peer.play([hostile_response(seed)], is_endless=seed % 5 == 0)
                start = time.monotonic()
                report = await _report_of(_post(resources, peer.url))
                figures.add(seed, report, peer.sent, time.monotonic() - start)
    return figures


async def fuzz_proxies(seeds: Sequence[int]) -> Figures:
    """Responses of proxies to checks: instead of the target's, and to CONNECT."""
    figures = Figures("proxies")
    async with _Peer(speaks_first=False) as peer, open_http_check() as run_check:
        with figures.measure():
            for seed in seeds:
                peer.play([hostile_response(seed)], is_endless=seed % 5 == 0)
                target, start = f"http{'s' * (seed % 2)}://127.0.0.1:9/", time.monotonic()
                try:
                    async with asyncio.timeout(TIMEOUT):
                        observed = await run_check(target, proxy=peer.url)
                    report = "" if observed.error is None else f"{observed.error}: {observed.message}"
                except TimeoutError:
                    report = "timed out"
                figures.add(seed, report, peer.sent, time.monotonic() - start)
    return figures


async def fuzz_mail_servers(seeds: Sequence[int]) -> Figures:
    """Replies to the commands of a session."""
    figures = Figures("mail servers")
    async with _Peer(speaks_first=True) as peer, _open_resources() as resources:
        fields = {"host": "127.0.0.1", "port": peer.port, "security": "none", "from": "a@example.com"}
        made = make_channel(kind="email", to=["b@example.com"], **fields).model_copy(update={"timeout": TIMEOUT})
        with figures.measure():
            for seed in seeds:
                peer.play(hostile_replies(seed), is_endless=True)
                start = time.monotonic()
                report = await _report_of(made.create_sender(resources).send(message(), None))
                figures.add(seed, report, peer.sent, time.monotonic() - start)
    return figures


async def fuzz_calendars(seeds: Sequence[int]) -> Figures:
    """Calendars of rotas, evaluated in the judging process."""
    figures, process = Figures("calendars"), JudgingProcess(CALENDAR_BYTES)
    try:
        with figures.measure():
            for seed in seeds:
                calendar = hostile_calendar(seed)
                begin, end = NOW - timedelta(days=1), NOW + timedelta(days=70)
                task = CalendarTask(calendar, "Europe/Berlin", ("Anna",), begin, end, NOW)
                outcome = await asyncio.to_thread(process.perform, task, 2.0)
                if isinstance(outcome, TaskFailed):
                    figures.problems.append(f"calendars, seed {seed}: {outcome}")
                    continue
                report = "could not be evaluated"
                if isinstance(outcome, TaskDone):
                    report = outcome.packed if isinstance(outcome.packed, str) else ""
                figures.add(seed, report, len(calendar), outcome.seconds)
    finally:
        process.stop()
    return figures


FUZZED: dict[str, Callable[[Sequence[int]], Awaitable[Figures]]] = {
    "receivers": fuzz_receivers,
    "proxies": fuzz_proxies,
    "mail servers": fuzz_mail_servers,
    "calendars": fuzz_calendars,
}
