"""Each channel against a service that fails in one way after the other: nothing is lost, nothing is doubled.

The services are servers on loopback, the incidents and the outbox are in SQLite, the time is virtual.

`ALL_CHANNELS=1 ./dev test tests/acceptance/test_channels_failing.py` has each failure for each channel.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from jobs.notifications.port import ChannelState
from scheduler.alerting.delivery.channel_pass import deliver_channel
from scheduler.alerting.delivery.health import ChannelCondition, judge_channel
from scheduler.stores.alerting.outbox import UndeliveredRows
from tests.acceptance.channel_desk import CHANNEL, ChannelDesk, open_desk
from tests.jobs.incidents.world import MINUTE, SECOND
from tests.parts import bad_servers
from tests.parts.http_server import Answer, Request
from tests.parts.mail_server import MailServerPart
from tests.parts.notifications import NotificationService
from tests.parts.tls import TlsKind

KEY = "s3cret-key-of-the-service"
OK = Answer.of_json({"ok": True, "ts": "17.1", "channel": "C1", "id": "n1"})
FIELDS: dict[str, dict[str, Any]] = {
    "webhook": {"url": {"secret": "url"}, "signing_key": {"secret": "key"}},
    "teams": {"url": {"secret": "url"}},
    "slack": {"token": {"secret": "key"}, "channel": "C1"},
    "pagerduty": {"routing_key": {"secret": "key"}},
    "opsgenie": {"api_key": {"secret": "key"}},
    "ntfy": {"topic": "alerts", "token": {"secret": "key"}},
    "email": {"host": "localhost", "security": "none", "from": "scheduler@example.com", "to": ["team@example.com"]},
}
_URL_FIELDS = {"slack": "api_url", "pagerduty": "url", "opsgenie": "url", "ntfy": "server"}
KINDS = pytest.mark.parametrize("kind", FIELDS)
SOME_KINDS = KINDS if os.environ.get("ALL_CHANNELS") else pytest.mark.parametrize("kind", ["webhook", "slack", "email"])


class Service(Protocol):
    """What the tests need of a server."""

    def fail(self, status: int, retry_after: int = 0) -> None: ...
    def recover(self) -> None: ...
    def accepted(self) -> list[str]:
        """Return the text of each message that was accepted."""
        ...


@dataclass
class HttpService:
    server: NotificationService
    failed: int = 0
    is_failing: bool = False

    def fail(self, status: int, retry_after: int = 0) -> None:
        self.server.answers = [Answer(status, {"retry-after": str(retry_after)} if retry_after else {}, b"no")]
        self.is_failing = True

    def recover(self) -> None:
        self.failed = len(self.server.requests)
        self.server.answers = [OK]
        self.is_failing = False

    def accepted(self) -> list[str]:
        return [] if self.is_failing else [_describe(each) for each in self.server.requests[self.failed :]]


def _describe(request: Request) -> str:
    return f"{request.path} {request.headers.get('webhook-id', '')} {request.body.decode()}"


@dataclass
class MailService:
    server: MailServerPart

    def fail(self, status: int, retry_after: int = 0) -> None:
        self.server.response = "550 no" if status == 404 else "451 try again later"

    def recover(self) -> None:
        self.server.response = "250 accepted"

    def accepted(self) -> list[str]:
        return [f"{mail['Message-ID']} {mail['Subject']}" for mail in self.server.mails]


@dataclass
class Place:
    desk: ChannelDesk
    service: Service
    other: HttpService
    """The fallback channel."""

    async def state(self) -> ChannelState:
        return await self.desk.stored.outbox_rows.read_channel(CHANNEL)


_PATIENCE = 10.0
"""Seconds for one attempt at a server that answers. A busy machine needs some."""


@asynccontextmanager
async def place(
    kind: str, folder: Path, *, tls: TlsKind | None = None, fallback: bool = False, hole: bool = False
) -> AsyncIterator[Place]:
    """`hole`: the server accepts connections and never answers."""
    async with AsyncExitStack() as stack:
        other = HttpService(await stack.enter_async_context(NotificationService(OK)))
        fields = {"kind": kind, **FIELDS[kind]}
        service: Service
        if kind == "email":
            security = "tls" if tls else "none"
            mail = await stack.enter_async_context(MailServerPart(security=security, certificate=tls or "good"))
            fields |= {"port": mail.port, "security": security}
            service = MailService(mail)
            url = ""
        else:
            server = await stack.enter_async_context(NotificationService(OK, tls=tls))
            service, url = HttpService(server), server.url
        if hole:
            black = await stack.enter_async_context(bad_servers.black_hole())
            url, fields = black.url, fields | ({"port": black.port} if kind == "email" else {})
        if kind in _URL_FIELDS:
            fields[_URL_FIELDS[kind]] = url
        channels = {CHANNEL: fields | ({"fallback": "other"} if fallback else {})}
        channels["other"] = {"kind": "webhook", "url": other.server.url}
        secrets = {"url": f"{url}/hooks/{KEY}", "key": KEY}
        limit = 0.05 if hole else _PATIENCE
        yield Place(await stack.enter_async_context(open_desk(folder, channels, secrets, limit=limit)), service, other)


@KINDS
@pytest.mark.parametrize("status", [500, 429])
async def test_after_a_failure_a_message_is_accepted_once(kind: str, status: int, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as at:
        at.service.fail(status, retry_after=90 if status == 429 else 0)
        incident = await at.desk.open()
        await at.desk.deliver_for(4 * SECOND)
        state = await at.state()
        at.service.recover()
        if status == 429 and kind != "email":
            await at.desk.deliver_for(80 * SECOND)
            assert not at.service.accepted(), "Retry-After was not respected"
        await at.desk.deliver_for(5 * MINUTE)
        assert len(at.service.accepted()) == 1
        assert await at.desk.codes(incident) == ["announced", *["send_failed"] * state.failures, "delivered"]
        assert KEY not in state.error
        assert state.error


@KINDS
async def test_what_is_over_after_20_minutes_is_one_message(kind: str, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as at:
        at.service.fail(503)
        await at.desk.open()
        await at.desk.deliver_for(8 * MINUTE)
        await at.desk.resolve()
        await at.desk.deliver_for(12 * MINUTE)
        at.service.recover()
        await at.desk.deliver_for(10 * MINUTE)
        accepted = at.service.accepted()
        if kind in ("pagerduty", "opsgenie"):
            # These resolve only an alert that exists, so the message is its trigger and its end.
            assert len(accepted) in (1, 2)
        else:
            assert len(accepted) == 1
        assert "was down" in accepted[0]
        assert not await at.desk.tools.store.list_channels()


@SOME_KINDS
@pytest.mark.parametrize("failure", ["hangs", "tls"])
async def test_the_fallback_channel_gets_what_a_channel_cannot_send(kind: str, failure: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"hole": True} if failure == "hangs" else {"tls": "wrong_name"}
    async with place(kind, tmp_path, fallback=True, **options) as at:
        incident = await at.desk.open()
        await at.desk.deliver_for(21 * MINUTE)
        (message,) = at.other.accepted()
        assert f"{incident.id}:1:other" in message
        assert f"Sent here instead of to the channel {CHANNEL}" in message
        await at.desk.resolve()
        await at.desk.deliver_for(MINUTE)
        assert len(at.other.accepted()) == 2
        assert KEY not in " ".join(at.other.accepted())
        assert ("certificate" if failure == "tls" else "did not") in (await at.state()).error


@SOME_KINDS
async def test_what_no_channel_delivers_is_a_dead_letter_and_degrades_health(kind: str, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as at:
        at.service.fail(404)
        incident = await at.desk.open()
        await at.desk.deliver_for(MINUTE)
        (letter,) = [each.letter for each in await UndeliveredRows(at.desk.store).list_of(CHANNEL)]
        assert letter.notification.incident == incident.id
        health = judge_channel(await at.state(), at.desk.clock.now(), given_up_recently=1)
        assert health.is_degraded
        assert health.condition is ChannelCondition.FAILING
        assert "1 notification could not be delivered" in health.text
        assert (await at.desk.codes(incident))[-1] == "given_up"


async def test_channels_that_hang_do_not_hold_up_the_event_loop(tmp_path: Path) -> None:
    async with bad_servers.black_hole() as hole:
        channels: dict[str, dict[str, Any]] = {kind: {"kind": kind, **fields} for kind, fields in FIELDS.items()}
        for kind, field in _URL_FIELDS.items():
            channels[kind][field] = hole.url
        channels["email"] |= {"port": hole.port}
        async with open_desk(tmp_path, channels, {"url": hole.url, "key": KEY}, limit=2.0) as desk:
            desk.world.channels = tuple(channels)
            incident = await desk.open()
            watch = asyncio.create_task(longest_gap())
            await asyncio.gather(*(deliver_channel(desk.tools, name) for name in channels))
            watch.cancel()
            assert await watch < 1.0
            assert (await desk.codes(incident)).count("send_failed") == len(channels)


async def longest_gap() -> float:
    """Return the longest time for which the event loop ran nothing else, once it is cancelled."""
    longest, last = 0.0, time.monotonic()
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest
