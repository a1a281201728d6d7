"""Kills the program again and again: are the dead letters those of the runs that failed, and is nothing done twice?"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar
from zlib import crc32

from bench._attacks.harness import Attack, Scene, Scheduler, serving
from jobs.runs import Outcome
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.runs.repository import Runs

_JOBS = 120
_KILLING_SECONDS = 60.0
_KILLED_WHILE_STARTING = 0.15
"""Share of the kills that come before the program answers."""
_PAGE = 500
_KEY = re.compile(rb"idempotency-key: (\S+)", re.IGNORECASE)
_received: Counter[bytes] = Counter()
"""Requests by run, in the process of the target."""


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a run after half a second, one of five with 500. `/twice` tells how many runs sent two requests."""
    head = await reader.readuntil(b"\r\n\r\n")
    body, status = b"ok", b"200 OK"
    if head.startswith(b"GET /twice"):
        body = str(sum(count > 1 for count in _received.values())).encode()
    elif found := _KEY.search(head):
        _received[found[1]] += 1
        await asyncio.sleep(0.5)
        status = b"500 Internal Server Error" if crc32(found[1]) % 5 == 0 else status
    writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (status, len(body), body))
    await writer.drain()


class Kills(Attack):
    """SIGKILL for a minute, each second or two, with 120 jobs of `effect: once` and dead letters."""

    name = "kills"
    always_ready: ClassVar[bool] = False  # it is down between a kill and the next start

    def jobs(self, url: str) -> Mapping[str, Any]:
        """Return jobs of which one run in five fails."""
        job = {
            "schedule": {"every": "5s"},
            "check": {"url": url},
            "expect": [{"status": 200}],
            "effect": "once",
            "dead_letter": True,
            "retry": {"attempts": 1},
        }
        return {_job(number): job for number in range(_JOBS)}

    def server(self) -> AbstractContextManager[str]:
        """Serve the target of these jobs."""
        return serving(_answer)

    def strike(self, scene: Scene) -> float | None:
        """Kill and start; healthy runs count once nothing is left to recover."""
        scheduler, luck = scene.scheduler, random.Random(1)
        end, kills = time.monotonic() + _KILLING_SECONDS, 0
        while time.monotonic() < end:
            time.sleep(luck.uniform(0.3, 2.0))
            scheduler.kill()
            kills += 1
            scheduler.start(ready_within=None)
            while luck.random() > _KILLED_WHILE_STARTING and scheduler.status("/api/health/live") != 200:
                time.sleep(0.1)
        while scheduler.status("/api/health/ready") != 200:
            time.sleep(0.1)
        back = time.time()
        print(f"  killed {kills} times", file=sys.stderr)
        time.sleep(self.seconds)
        return back + 5

    def problems(self, scene: Scene) -> Iterator[str]:
        """Compare the letters with history."""
        with urllib.request.urlopen(f"{scene.target}/twice", timeout=10) as answer:
            if twice := int(answer.read()):
                yield f"{twice} runs with effect: once sent two requests"
        scene.scheduler.stop()
        outcomes, letters = asyncio.run(_read(scene.scheduler))
        failed = {run_id for run_id, outcome in outcomes.items() if outcome.down}
        print(f"  {len(outcomes)} runs, {len(failed)} failed, {len(letters)} dead letters", file=sys.stderr)
        if missing := failed - letters:
            yield f"{len(missing)} failed runs have no dead letter, such as {min(missing)}"
        if wrong := letters - failed:
            yield f"{len(wrong)} dead letters are of runs that did not fail, such as {min(wrong)}"


async def _read(scheduler: Scheduler) -> tuple[Mapping[str, Outcome], set[str]]:
    """Return the outcomes by run, and the runs that have dead letters."""
    store = await scheduler.open_store()
    try:
        runs, outcomes, letters, after = Runs(store), dict[str, Outcome](), set[str](), ""
        for number in range(_JOBS):
            page = await runs.list_page(_job(number), limit=_PAGE)
            outcomes |= {record.run.id: record.run.outcome for record in page.records if record.run is not None}
        while some := await DeadLetters(store).list_letters(limit=_PAGE, after=after):
            letters |= {letter.ticket.id for letter in some if letter.ticket is not None}
            after = some[-1].id
        return outcomes, letters
    finally:
        await store.aclose()


def _job(number: int) -> str:
    return f"killed-{number:03}"


ATTACKS = (Kills(),)
