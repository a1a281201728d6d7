"""Kills the program while thousands of runs are open and starts it again: when does it answer and run what is due?"""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from bench._attacks.harness import Attack, Scene, Scheduler
from jobs.runs import Ticket
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import open_sqlite

DEAD = "{host}:{pid}:bench"
_JOBS = 100
"""Jobs that the open runs are of; nothing else makes them due."""
_AT_ONCE = 500
_OPEN = """
    SELECT count(*) FROM rows WHERE table_name = 'history' AND partition_key IN ('0', '1', '2', '3')
    AND row_key > 'o~open-' AND row_key < 'o~open~' AND body LIKE '%"running"%'
"""


class OpenRuns(Attack):
    """SIGKILL with 2,000 runs in work: answers, readiness and healthy runs afterwards."""

    name = "open-runs-2000"
    open_runs: ClassVar[int] = 2000
    recovered_within: ClassVar[float] = 5.0
    always_ready = False  # it is down between the kill and the start

    def __init__(self) -> None:
        self._live = self._recovered = float("inf")
        self._back = 0.0

    def jobs(self, url: str) -> Mapping[str, Any]:
        """Jobs whose runs are open; they fall due only next year."""
        check = {"url": "http://127.0.0.1:9/"}
        return {_job(number): {"schedule": "0 0 1 1 *", "check": check} for number in range(_JOBS)}

    def strike(self, scene: Scene) -> float | None:
        """Kill, leave so many runs in work, start; healthy runs count from the moment when it answers."""
        scheduler = scene.scheduler
        dead = scheduler.pid
        scheduler.kill()
        asyncio.run(self._leave_open(scheduler, dead or 0))
        began = time.time()
        scheduler.start(ready_within=None)
        while scheduler.status("/api/health/live") != 200:
            time.sleep(0.02)
        self._back = time.time()
        self._live = self._back - began
        while time.time() < self._back + 60 and _open(scheduler):
            time.sleep(0.2)
        self._recovered = time.time() - self._back
        found = f"live after {self._live:.1f} s, recovered {self._recovered:.1f} s later"
        print(f"  {self.open_runs} runs open: {found}", file=sys.stderr)
        return self._back + 1

    def problems(self, scene: Scene) -> Iterator[str]:
        """Judge how long recovery took, and readiness once it answered."""
        if self._live > self.recovered_within:
            yield f"/api/health/live answered only after {self._live:.1f} s"
        if self._recovered > self.recovered_within:
            yield f"the open runs were recovered only after {self._recovered:.1f} s"
        late = [status for at, status in scene.ready if at > self._back and status != 200]
        if late:
            yield f"/api/health/ready answered {late} after it was back"

    async def _leave_open(self, scheduler: Scheduler, pid: int) -> None:
        owner = DEAD.format(host=socket.gethostname(), pid=pid)
        store = await open_sqlite(scheduler.database)
        try:
            runs, now = Runs(store), datetime.now(UTC).replace(microsecond=0)
            tickets = [
                Ticket.scheduled(_job(number % _JOBS), now - timedelta(seconds=60 + number // _JOBS), "")
                for number in range(self.open_runs)
            ]
            for start in range(0, len(tickets), _AT_ONCE):
                some = tickets[start : start + _AT_ONCE]
                await runs.claim_all([(ticket, now + timedelta(minutes=10)) for ticket in some], owner, now)
        finally:
            await store.aclose()


class ManyOpenRuns(OpenRuns):
    """SIGKILL with 10,000 runs in work: answers, readiness and healthy runs afterwards."""

    name = "open-runs-10000"
    open_runs = 10_000


def _job(number: int) -> str:
    return f"open-{number:03}"


def _open(scheduler: Scheduler) -> int:
    """Runs of the attack's jobs that are still in work."""
    with closing(sqlite3.connect(f"file:{scheduler.database}?mode=ro", uri=True)) as connection:
        (number,) = connection.execute(_OPEN).fetchone()
        return int(number)


ATTACKS = (OpenRuns(), ManyOpenRuns())
