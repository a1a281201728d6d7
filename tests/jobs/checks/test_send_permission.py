"""Nothing reaches a target once the lease of the run has ended, whatever the kind of the check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import pytest

from jobs.checks import Checks
from jobs.checks.clock import PhaseClock, SendPermission
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded
from jobs.redaction import Redactor
from jobs.runs import Observation
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.parts.dns_server import DnsServer

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Listener:
    """A target, and what has reached it."""

    port: int = 0
    connections: int = 0
    received: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while data := await reader.read(65536):
            self.received += data
            writer.write(ANSWER)
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    yield listener
    server.close()


def permission(confirmed: int) -> SendPermission:
    """One whose lease ends after it was confirmed so often."""
    answers: Iterator[bool] = chain(repeat(True, confirmed), repeat(False))
    return SendPermission(lambda: next(answers))


@asynccontextmanager
async def checking(check: dict[str, Any]) -> AsyncIterator[Any]:
    """Yield a function that observes this target once, by the permission of a run."""
    job = JobDefinition.model_validate({"name": "a", "check": check})
    checks = Checks(CheckDependencies(MemorySecrets(), MemoryTokens(), Redactor(), LOCAL_GUARD))

    async def observe(allowed: SendPermission) -> Observation:
        call = AttemptContext("a@1", 1, PhaseClock(permission=allowed))
        return await checks.observe(job.check, call)

    yield observe
    await checks.aclose()


def targets(port: int) -> dict[str, dict[str, Any]]:
    url = f"http://127.0.0.1:{port}/"
    return {
        "http": {"url": url},
        "http2": {"url": url, "http2": True},
        "steps": {"kind": "steps", "steps": [{"name": "a", "url": url}], "cleanup": [{"name": "b", "url": url}]},
        "tcp": {"kind": "tcp", "host": "127.0.0.1", "port": port, "dialogue": [{"send": "PING"}]},
        "tls": {"kind": "tls", "host": "127.0.0.1", "port": port},
        "mysql": {"kind": "mysql", "host": "127.0.0.1", "port": port, "user": "monitor"},
        "postgres": {"kind": "postgres", "host": "127.0.0.1", "port": port, "user": "monitor"},
        "redis": {"kind": "redis", "host": "127.0.0.1", "port": port},
        "sqlserver": {"kind": "sqlserver", "host": "127.0.0.1", "port": port, "user": "monitor"},
    }


@pytest.mark.parametrize("kind", targets(0))
async def test_no_connection_is_opened_after_the_lease_has_ended(kind: str, listener: Listener) -> None:
    allowed = permission(0)
    async with checking(targets(listener.port)[kind]) as observe:
        with pytest.raises(LeaseEnded):
            await observe(allowed)
    assert (listener.connections, allowed.has_sent) == (0, False)


@pytest.mark.parametrize("kind", targets(0))
async def test_nothing_is_sent_if_the_lease_ends_while_the_connection_is_opened(kind: str, listener: Listener) -> None:
    allowed = permission(1)
    async with checking(targets(listener.port)[kind]) as observe:
        with pytest.raises(LeaseEnded):
            await observe(allowed)
    assert (listener.received, allowed.has_sent) == (b"", False)


async def test_a_pooled_connection_is_not_used_after_the_lease_has_ended(listener: Listener) -> None:
    async with checking({"url": f"http://127.0.0.1:{listener.port}/", "connection": "kept"}) as observe:
        await observe(permission(2))
        first = listener.received
        with pytest.raises(LeaseEnded):
            await observe(permission(0))
    assert (listener.connections, listener.received) == (1, first)


async def test_a_line_of_a_dialogue_is_not_sent_after_the_lease_has_ended(listener: Listener) -> None:
    dialogue = [{"send": "ONE"}, {"receive": "ok"}, {"send": "TWO"}]
    allowed = permission(2)
    async with checking(targets(listener.port)["tcp"] | {"dialogue": dialogue}) as observe:
        with pytest.raises(LeaseEnded):
            await observe(allowed)
    assert (listener.received, allowed.has_sent) == (b"ONE", True)


async def test_steps_clean_up_what_they_made_before_the_lease_ended(listener: Listener) -> None:
    url = f"http://127.0.0.1:{listener.port}"
    steps = [{"name": "make", "url": f"{url}/make"}, {"name": "use", "url": f"{url}/use"}]
    cleanup = [{"name": "drop", "url": f"{url}/drop"}]
    async with checking({"kind": "steps", "steps": steps, "cleanup": cleanup}) as observe:
        with pytest.raises(LeaseEnded):
            await observe(permission(2))
    assert [path in listener.received for path in (b"/make", b"/use", b"/drop")] == [True, False, True]


async def test_a_name_server_is_not_queried_after_the_lease_has_ended() -> None:
    async with DnsServer({("shop.test", "A"): ["10.0.0.1"]}) as server:
        target = {"kind": "dns", "name": "shop.test", "server": "127.0.0.1", "port": server.port}
        async with checking(target) as observe:
            with pytest.raises(LeaseEnded):
                await observe(permission(0))
    assert server.queries == []
