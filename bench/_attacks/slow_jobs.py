"""Jobs that hold their places for as long as they can."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from bench._attacks.harness import Attack, Scene, serving

MAX_PLACES = 20
"""The share of one job, of the usual 200 places."""
BODY = 16 * 1024 * 1024


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a request and never answer."""
    while await reader.read(65536):
        pass


async def _holding_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send an answer of 16 MiB but for its last byte."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n".encode())
    for _ in range(BODY // 65536 - 1):
        writer.write(b"x" * 65536)
        await writer.drain()
    writer.write(b"x" * 65535)
    await _silent(reader, writer)


class _Looking:
    """Queries the holders of concurrency slots repeatedly."""

    def __init__(self, scene: Scene) -> None:
        self._url = scene.scheduler.url
        self.most_places = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(1.0):
            with (
                suppress(OSError, urllib.error.URLError),
                urllib.request.urlopen(f"{self._url}/api/watchdog", timeout=5) as answer,
            ):
                for holder in json.load(answer)["concurrency"]["holders"]:
                    if holder["job"].startswith("slow"):
                        self.most_places = max(self.most_places, holder["slots"])


class OneSlowJob(Attack):
    """One job starts a run each 100 ms that lasts eight minutes, in addition to the earlier ones."""

    name = "one-slow-job"
    seconds = 30

    def server(self) -> AbstractContextManager[str]:
        return serving(_silent)

    def jobs(self, url: str) -> Mapping[str, Any]:
        return {"slow": slow_job(url)}

    def strike(self, scene: Scene) -> float | None:
        looking = _Looking(scene)
        time.sleep(self.seconds)
        looking.end()
        self._places = looking.most_places
        return None

    def problems(self, scene: Scene) -> Iterator[str]:
        if not 0 < self._places <= MAX_PLACES:
            yield f"the slow job held {self._places} slots, expected 1 to {MAX_PLACES}"


class SlowJobs(OneSlowJob):
    """Ten such jobs at one host."""

    name = "slow-jobs-of-a-host"

    def jobs(self, url: str) -> Mapping[str, Any]:
        return {f"slow-{number}": slow_job(url) for number in range(10)}


class HeldBodies(Attack):
    """40 jobs whose target holds back the last byte of 16 MiB."""

    name = "held-bodies"
    seconds = 30

    def server(self) -> AbstractContextManager[str]:
        return serving(_holding_back)

    def jobs(self, url: str) -> Mapping[str, Any]:
        check = {"kind": "http", "url": url, "read_limit": "16MiB"}
        timeout = {"attempt": "60s", "run": "60s"}
        job = {"schedule": {"every": "1s"}, "check": check, "timeout": timeout}
        return {f"held-{number}": job for number in range(40)}


def slow_job(url: str) -> Mapping[str, Any]:
    return {
        "schedule": {"every": "100ms"},
        "overlap": "allow",
        "timeout": {"attempt": "8m", "run": "8m"},
        "check": {"kind": "http", "url": url},
    }


ATTACKS = (OneSlowJob(), SlowJobs(), HeldBodies())
