"""Receivers of messages and calendars that are as hostile as a target: bombs, replies and rules without end."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar

from bench._attacks.harness import Attack, Scene, Scheduler, serving
from bench._parts import get_json

BOMB_MIB = 400
"""Inside of about 400 bytes."""
REPORTED_WITHIN = 40.0
"""Seconds for the reason to appear in health."""
_SECONDLY = (
    "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nRRULE:FREQ={}\nEND:STANDARD\n"
)
_EVENT = (
    "BEGIN:VEVENT\nUID:{0}\nDTSTAMP:20260101T000000Z\nDTSTART;TZID={0}:20260101T000000\nDURATION:P30D\n"
    "SUMMARY:Anna\nEND:VEVENT\n"
)
_EACH_DAY = f"YEARLY;BYMONTHDAY={','.join(map(str, range(1, 32)))}"


@functools.cache
def _nested_bomb() -> bytes:
    """Zeros in gzip, three times."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    body = b"".join([*(packer.compress(bytes(1024 * 1024)) for _ in range(BOMB_MIB)), packer.flush()])
    return gzip.compress(gzip.compress(body, mtime=0), mtime=0)


def _calendar(rule: str, *, zones: int, observances: int) -> bytes:
    zone = "".join(
        f"BEGIN:VTIMEZONE\nTZID:Zone{each}\n{_SECONDLY.format(rule) * observances}END:VTIMEZONE\n"
        for each in range(zones)
    )
    events = "".join(_EVENT.format(f"Zone{each}") for each in range(zones))
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//bench//EN\n{zone}{events}END:VCALENDAR\n".encode()


async def _answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`/fails` fails, `/hook/STATUS` answers with the bomb, `/secondly` and `/daily` are calendars."""
    head = await reader.readuntil(b"\r\n\r\n")
    path = head.split(b" ")[1].decode()
    status, more, body = "503 Busy", "", b""
    if path.startswith("/hook/"):
        status, more, body = f"{path[6:9]} OK", "Content-Encoding: gzip, gzip, gzip\r\n", _nested_bomb()
    elif path == "/secondly":
        status, body = "200 OK", _calendar("SECONDLY", zones=1, observances=50)
    elif path == "/daily":
        status, body = "200 OK", _calendar(_EACH_DAY, zones=100, observances=10).replace(b":1970", b":0001")
    writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()


async def _answer_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet, and answer the first command without an end."""
    writer.write(b"220 mail.test\r\n")
    await reader.readline()
    while True:
        writer.write(b"250-mail.test\r\n" * 4000)
        await writer.drain()


class _Receivers(Attack):
    """The common part: ten jobs that fail, and the section `alerting` that notifies the attacker."""

    seconds = 30
    reported: ClassVar[tuple[str, ...]] = ()
    """Texts that health reports."""

    def server(self) -> AbstractContextManager[str]:
        self._url = ""
        return serving(_answer_http)

    def jobs(self, url: str) -> Mapping[str, Any]:
        self._url = url
        job = {"schedule": {"every": "1s"}, "check": {"url": f"{url}/fails"}, "retry": {"attempts": 1}}
        return {f"fails-{number}": {**job, "alerts": [self.rule()]} for number in range(10)}

    def rule(self) -> Mapping[str, Any]:
        return {"open_after": 1, "notify": list(self.channels())}

    def channels(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def alerting(self) -> Mapping[str, Any]:
        return {"channels": self.channels()}

    def prepare(self, scheduler: Scheduler) -> None:
        (scheduler.jobs / "alerting.json").write_text(json.dumps({"alerting": self.alerting()}))

    def strike(self, scene: Scene) -> float | None:
        for name in self.channels():
            for _ in range(3):
                request = urllib.request.Request(
                    f"{scene.scheduler.url}/api/channels/{name}/test",
                    b"{}",
                    {"content-type": "application/json"},
                )
                try:
                    urllib.request.urlopen(request, timeout=30).close()
                except urllib.error.HTTPError as error:
                    error.close()  # the test message was not delivered
        return None

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield the texts that health does not report within REPORTED_WITHIN."""
        end = time.monotonic() + REPORTED_WITHIN
        while missing := [text for text in self.reported if text not in self._health(scene)]:
            if time.monotonic() > end:
                yield f"health does not report: {', '.join(missing)}"
                return
            time.sleep(1)

    def _health(self, scene: Scene) -> str:
        return json.dumps(get_json(f"{scene.scheduler.url}/api/health"))


class ReceiverBombs(_Receivers):
    """Webhooks answer each message with 400 bytes that are 400 MiB, as a success and as a failure."""

    name = "receiver-bombs"
    reported = ("encoded as gzip, gzip, gzip",)

    def channels(self) -> Mapping[str, Any]:
        return {f"hook-{status}": {"kind": "webhook", "url": f"{self._url}/hook/{status}"} for status in (200, 500)}


class EndlessMailReplies(_Receivers):
    """A mail server replies without an end."""

    name = "endless-mail"
    reported = ("more than 100 lines",)

    def server(self) -> AbstractContextManager[str]:
        self._url = ""
        return serving(_answer_mail)

    def channels(self) -> Mapping[str, Any]:
        host, _, port = self._url.removeprefix("http://").partition(":")
        sender = {"from": "scheduler@example.com", "to": ["team@example.com"]}
        return {
            "mail": {"kind": "email", "host": host, "port": int(port), "security": "none", "timeout": "60s", **sender}
        }


class HostileCalendars(_Receivers):
    """Rotas whose calendars recur each second, or need minutes although every rule accepts them."""

    name = "hostile-calendars"
    reported = ("recurs SECONDLY", "could not be evaluated")

    def rule(self) -> Mapping[str, Any]:
        return {"open_after": 1}

    def channels(self) -> Mapping[str, Any]:
        return {}

    def alerting(self) -> Mapping[str, Any]:
        team = {"team": {"kind": "webhook", "url": f"{self._url}/fails"}}
        rotas = {
            name: {"url": f"{self._url}/{name}", "people": {"Anna": "team"}, "otherwise": "team"}
            for name in ("secondly", "daily")
        }
        return {"channels": team, "on_call": rotas, "routes": [{"on_call": name, "continue": True} for name in rotas]}


class HostileReceivers(HostileCalendars):
    """All of these at once."""

    name = "hostile-receivers"
    reported = (*ReceiverBombs.reported, *EndlessMailReplies.reported, *HostileCalendars.reported)

    def __init__(self) -> None:
        self._parts = (ReceiverBombs(), EndlessMailReplies())

    @contextmanager
    def server(self) -> Iterator[str]:
        with ExitStack() as stack:
            for part in self._parts:
                part._url = stack.enter_context(part.server())
            self._url = self._parts[0]._url
            yield self._url

    def rule(self) -> Mapping[str, Any]:
        return {"open_after": 1, "notify": list(self.channels())}

    def channels(self) -> Mapping[str, Any]:
        return {name: channel for part in self._parts for name, channel in part.channels().items()}

    def alerting(self) -> Mapping[str, Any]:
        section = super().alerting()
        return {**section, "channels": {**section["channels"], **self.channels()}}


ATTACKS = (ReceiverBombs(), EndlessMailReplies(), HostileCalendars(), HostileReceivers())
