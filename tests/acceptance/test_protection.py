"""A running `serve` under attack, and two of them that share their limits over a storage account."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.parts.api_keys import bearer, create_key
from tests.parts.azurite import Azurite
from tests.parts.host import Host, embedded, job

MIB = 1024 * 1024
PAUSE = "/api/jobs/checkout/pause"
JOBS = {"checkout": job("http://127.0.0.1:9/")}


async def sent(host: Host, start: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which this was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.client.base_url.port)
    writer.write(start)
    await writer.drain()
    return reader, writer


def head(*headers: str, path: str = PAUSE) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


@pytest.mark.parametrize("size", ["content-length: 209715200", "transfer-encoding: chunked"])
async def test_a_body_of_200_mb_is_rejected_and_costs_no_memory(size: str, tmp_path: Path) -> None:
    async with embedded(tmp_path, JOBS) as host:
        await host.get("/api/jobs")
        process = psutil.Process(host.program.pid)
        before = process.memory_info().rss
        reader, writer = await sent(host, head("content-type: application/json", size))
        data = b" " * MIB
        chunk = b"%x\r\n%s\r\n" % (MIB, data) if "chunked" in size else data
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        with suppress(ConnectionError):
            for _ in range(200):
                writer.write(chunk)
                await writer.drain()
        writer.close()

        assert (await answer).startswith(b"HTTP/1.1 413 ")
        assert process.memory_info().rss - before < 20 * MIB
        assert (await host.client.get("/api/health/ready")).status_code == 200


@pytest.mark.slow
async def test_300_slow_heads_and_bodies_are_cut_after_10_s_while_health_answers(tmp_path: Path) -> None:
    async with embedded(tmp_path, JOBS) as host:
        await host.get("/api/jobs")
        began = time.monotonic()
        starts = [b"GET /api/jobs HTTP/1.1\r\nhost: 127.0.0.1\r\n", head("content-length: 10") + b"{"]
        held = [await sent(host, starts[number % 2]) for number in range(300)]
        cut = asyncio.gather(*(reader.read() for reader, _ in held))
        while not cut.done():
            assert (await host.client.get("/api/health/ready")).status_code == 200
            await asyncio.sleep(0.2)
        seconds = time.monotonic() - began

        statuses = Counter(answer[:12] for answer in await cut)
        # A body without a media type is rejected by its head, and its connection ends with the timeout.
        assert statuses == {b"HTTP/1.1 408": 150, b"HTTP/1.1 415": 150}
        assert 9 < seconds < 30
        for _, writer in held:
            writer.close()


@pytest.mark.parametrize("header", ["Origin", "Referer"])
async def test_a_foreign_page_without_sec_fetch_site_starts_no_run(header: str, tmp_path: Path) -> None:
    async with embedded(tmp_path, JOBS) as host:
        refused = await host.client.post("/api/jobs/checkout/run", headers={header: "https://evil.example/page"})

        assert refused.status_code == 403
        assert await host.runs() == []


async def test_a_flood_of_pings_does_not_lock_out_health(tmp_path: Path) -> None:
    limits = {f"SCHEDULER_RATE_LIMITS__{name}": "5/minute" for name in ("READ", "OPERATE", "FAILED_AUTHENTICATION")}
    async with embedded(tmp_path, JOBS, **limits) as host:
        pings = asyncio.gather(*(host.client.get("/api/ping/2fd4e1c67a2d28fced849ee1bb76e739") for _ in range(300)))
        probes = [(await host.client.get("/api/health/ready")).status_code for _ in range(20)]

        assert {answer.status_code for answer in await pings} == {404}
        assert probes == [200] * 20
        assert (await host.client.get("/api/jobs")).headers["ratelimit"].startswith('"read";r=4;')


async def test_keys_are_limited_apart_and_invalid_ones_of_an_address_without_harm_to_the_others(tmp_path: Path) -> None:
    settings = {
        "SCHEDULER_ENVIRONMENT": "prod",
        "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}",
        "SCHEDULER_RATE_LIMITS__READ": "5/hour",
        "SCHEDULER_RATE_LIMITS__FAILED_AUTHENTICATION": "3/hour",
    }
    first, second = await create_key(settings, "first"), await create_key(settings, "second")
    async with embedded(tmp_path, JOBS, **settings) as host:

        async def statuses(key: str, number: int) -> list[int]:
            return [(await host.client.get("/api/jobs", headers=bearer(key))).status_code for _ in range(number)]

        assert await statuses(first, 6) == [200] * 5 + [429]
        assert await statuses(second, 1) == [200]
        assert await statuses(f"{first}x", 4) == [401, 401, 401, 429]
        assert await statuses(f"{second}x", 1) == [429]
        assert await statuses(second, 1) == [200]
        assert (await host.client.get("/api/health/ready")).status_code == 200


async def test_a_created_key_is_not_stored_for_repeats(tmp_path: Path) -> None:
    async with embedded(tmp_path, JOBS) as host:
        created, repeat = [
            await host.client.post(
                "/api/keys", json={"name": "deploy", "role": "viewer"}, headers={"idempotency-key": "a-uuid"}
            )
            for _ in range(2)
        ]
        keys = (await host.get("/api/keys"))["keys"]

    assert (created.status_code, repeat.status_code, len(keys)) == (201, 201, 1)
    (secret,) = (text for text in created.json().values() if isinstance(text, str) and len(text) > 40)
    assert secret not in repeat.text
    assert secret.encode() not in (tmp_path / "state.db").read_bytes()


@asynccontextmanager
async def two_hosts(azurite: Azurite, prefix: str, folder: Path, **limits: str) -> AsyncIterator[list[Host]]:
    """Two processes with one storage account."""
    env = {f"SCHEDULER_RATE_LIMITS__{name.upper()}": limit for name, limit in limits.items()}
    env |= azurite.settings(prefix)
    for name in ("first", "second"):
        (folder / name).mkdir()
    async with embedded(folder / "first", {}, **env) as first, embedded(folder / "second", {}, **env) as second:
        yield [first, second]


def fields(answer: httpx.Response) -> tuple[int, int]:
    """What remains, and in how many seconds the window ends."""
    found = re.fullmatch(r'"read";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert found is not None
    return int(found[1]), int(found[2])


@pytest.mark.azurite
async def test_two_processes_allow_no_more_than_the_limit_together(
    azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    async with two_hosts(azurite, storage_prefix, tmp_path, read="20/hour") as hosts:
        answers = await asyncio.gather(*(hosts[number % 2].client.get("/api/jobs") for number in range(60)))

        assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 40}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 3500 < int(refused.headers["retry-after"]) <= 3600
        assert refused.headers["ratelimit-policy"] == '"read";q=20;w=3600'
        assert (await hosts[0].client.get("/api/health/ready")).status_code == 200


@pytest.mark.azurite
@pytest.mark.slow
async def test_a_client_of_two_processes_that_obeys_the_fields_never_gets_429(
    azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    async with two_hosts(azurite, storage_prefix, tmp_path, read="5/second") as hosts:
        waits = 0
        for number in range(60):
            answer = await hosts[number % 2].client.get("/api/jobs")
            assert answer.status_code == 200
            remaining, seconds = fields(answer)
            if remaining == 0:
                waits += 1
                await asyncio.sleep(seconds)

        assert waits > 5
