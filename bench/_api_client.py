"""A client of the API that measures each request: HTTP/1.1 on a few connections, at a given rate. Used by bench.api."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any
from urllib.parse import quote, urlsplit

CONNECTIONS = 4
"""Requests at a time."""


@dataclass(slots=True)
class Measured:
    """Milliseconds of each request, by what it does, and the statuses that were not expected."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unexpected: Counter[str] = field(default_factory=Counter)

    def all(self) -> list[float]:
        return [each for values in self.milliseconds.values() for each in values]


Request = tuple[str, str, str]
"""What it does, method, path."""


class Client:
    """Sends the requests in order, `rate` a second in total."""

    def __init__(self, url: str, jobs: list[str], operated: list[str]) -> None:
        """`jobs`: are read; `operated`: are paused, resumed and run."""
        self._url = urlsplit(url)
        self._requests = _mix(jobs, operated, lambda: self._run_id)
        self._run_id = ""
        self.measured = Measured()

    async def send_until(self, end: float, rate: float) -> None:
        """`end`: Unix seconds."""
        begin, numbers = time.time(), count()
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._work(begin, end, rate, numbers))

    async def _work(self, begin: float, end: float, rate: float, numbers: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        for number in numbers:
            at = begin + number / rate
            if at >= end:
                break
            await asyncio.sleep(max(0.0, at - time.time()))
            await self._send(reader, writer, *next(self._requests))
        writer.close()

    async def _send(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, method: str, path: str
    ) -> None:
        began = time.perf_counter()
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.partition(b":")[2]))
        self.measured.milliseconds[kind].append((time.perf_counter() - began) * 1000)
        status = head.split(b" ", 2)[1].decode()
        if status not in ("200", "202"):
            self.measured.unexpected[f"{kind}: {status}"] += 1
        elif kind == "list runs":
            self._run_id = json.loads(body)["runs"][-1]["id"]


def _mix(jobs: list[str], operated: list[str], run_id: Callable[[], Any]) -> Iterator[Request]:
    """Three reads to one write."""
    for job, other in zip(cycle(jobs), cycle(operated), strict=False):
        yield "list runs", "GET", "/api/runs?limit=50"
        yield "list jobs", "GET", "/api/jobs?limit=100"
        yield "a job", "GET", f"/api/jobs/{job}"
        yield "pause", "POST", f"/api/jobs/{other}/pause"
        yield "runs of a job", "GET", f"/api/runs?job={job}&limit=50"
        if found := run_id():
            yield "a run", "GET", f"/api/runs/{quote(found)}"
        yield "failed runs", "GET", "/api/runs?outcome=failed&limit=50"
        yield "resume", "POST", f"/api/jobs/{other}/resume"
        yield "health", "GET", "/api/health/ready"
        yield "status", "GET", "/api/status"
        yield "circuits", "GET", "/api/circuits?limit=50"
        yield "run now", "POST", f"/api/jobs/{other}/run"
