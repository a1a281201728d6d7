"""A run whose result is too large for a row of the store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from bench._attacks.harness import Attack, Scene, serving
from bench._parts import get_json

_EXCERPT_BYTES = 16 * 1024
"""Bytes of an answer that a job may keep."""


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Each time other text, which no compression makes small."""
    await reader.readuntil(b"\r\n\r\n")
    body = "".join(map(chr, random.choices(range(0x4E00, 0x9FFF), k=_EXCERPT_BYTES))).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    await writer.drain()


class RowBomb(Attack):
    """Results of twenty attempts with large answers, fifty failures each and 1,500 long tags do not fit into a row."""

    name = "row-bomb"

    def server(self) -> AbstractContextManager[str]:
        """Answer at length."""
        return serving(_answer)

    def jobs(self, url: str) -> Mapping[str, Any]:
        """Two jobs, which keep as much as they may."""
        job = {
            "schedule": {"every": "3s"},
            "check": {"url": url, "keep_body": _EXCERPT_BYTES},
            "expect": [{"body_contains": f"{number} {'x' * 200}"} for number in range(50)],
            "retry": {"attempts": 20, "on": ["expectation"], "backoff": "constant", "initial": "5ms", "jitter": "none"},
            "tags": {f"tag{number}": "v" * 200 for number in range(1500)},
            "dead_letter": True,
        }
        return {"bomb-0": job, "bomb-1": job}

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield it if a result is not recorded, or does not say what it lacks."""
        for job in self.jobs(""):
            failed = get_json(f"{scene.scheduler.url}/api/runs?job={job}&outcome=failed&limit=50")["runs"]
            if not any("(Stored without " in run["message"] for run in failed):
                yield f"no run of {job} reports the cut: {len(failed)} failed runs are recorded"
            running = get_json(f"{scene.scheduler.url}/api/runs?job={job}&outcome=running&limit=50")["runs"]
            if len(running) > 1:
                yield f"{len(running)} runs of {job} are still running"


ATTACKS = (RowBomb(),)
