"""Takes the store away while healthy jobs run: a disk that is full for a while, and a file that is damaged.

Runs cannot begin meanwhile, so healthy ones count from the moment when the store is back. What is judged is what came
before: no result is lost, no run that succeeded is a dead letter, and readiness is correct.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench._attacks.harness import Attack, Scene, Scheduler, serving
from jobs.runs import Outcome, Run, Ticket
from scheduler.stores.runs.repository import Claim, RunResult, Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite

SECONDS = 15.0
"""Seconds for which the store is unavailable."""
SOON = 3.0
"""Seconds after which readiness is to say the truth."""
_ROOM = 16 * 1024
"""Bytes that each file of the program may have while the disk is full."""
_HISTORY = 8000
"""Runs that are in the file before it is damaged."""
_PAGE = 4096
_UNDAMAGED_PAGES = 16
"""Pages at the beginning of the file that stay well, as the schema is in them."""


async def _answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with 200 after a second."""
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(1)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
    await writer.drain()


class FullDisk(Attack):
    """15 s without room for the file, while 20 jobs with `effect: once` and `dead_letter` are in work."""

    name = "full-disk"
    seconds = 45
    always_ready = False

    def __init__(self) -> None:
        self._full = self._room = 0.0

    def server(self) -> AbstractContextManager[str]:
        """Serve a target that takes a second."""
        return serving(_answer_late)

    def jobs(self, url: str) -> Mapping[str, Any]:
        """Return jobs whose runs must not happen twice, some of them in work at any moment."""
        job = {"schedule": {"every": "2s"}, "check": {"url": url}, "effect": "once", "dead_letter": True}
        return {f"once-{number:02}": job for number in range(20)}

    def strike(self, scene: Scene) -> float | None:
        """Leave no room, give it back, and start the program anew."""
        scheduler = scene.scheduler
        pid = scheduler.pid
        assert pid is not None
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        time.sleep(2 - time.time() % 2 + 0.5)  # the runs of the even second are in work
        self._full = time.time()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_ROOM, most))
        time.sleep(SECONDS)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
        self._room = time.time()
        time.sleep(5)
        scheduler.stop()
        scheduler.start()
        return time.time() + 1

    def problems(self, scene: Scene) -> Iterator[str]:
        """Judge the jobs that must not run twice, and readiness."""
        database = scene.scheduler.database
        letters = _number(database, "SELECT count(*) FROM rows WHERE table_name = 'dead_letters'")
        if letters:
            yield f"{letters} dead letters, though the target answered all runs with 200"
        interrupted = _number(database, f"{_ONCE} AND body LIKE '%\"interrupted\"%'")
        if interrupted:
            yield f"{interrupted} runs that were answered with 200 are recorded as interrupted"
        since, until = datetime.fromtimestamp(self._full - 2, UTC), datetime.fromtimestamp(self._room, UTC)
        if not asyncio.run(_succeeded(database, since, until)):
            yield "no run that was in work when the disk became full is recorded as succeeded"
        yield from _untrue(scene, self._full, self._room)


class DamagedDatabase(Attack):
    """Overwrites half of the file while it is open; after 15 s a backup is put in its place."""

    name = "damaged-database"
    seconds = 45
    always_ready = False

    def __init__(self) -> None:
        self._damaged = self._restored = 0.0
        self._output = ""

    def prepare(self, scheduler: Scheduler) -> None:
        """Fill the file with history."""
        asyncio.run(_fill(scheduler.database))

    def strike(self, scene: Scene) -> float | None:
        """Damage the file, check health, and restore the file."""
        scheduler = scene.scheduler
        backup = scheduler.folder / "backup.db"
        with closing(sqlite3.connect(scheduler.database)) as connection:
            connection.execute("VACUUM INTO ?", (str(backup),))
        self._damaged = time.time()
        with scheduler.database.open("r+b") as file:
            pages = scheduler.database.stat().st_size // _PAGE
            for page in range(_UNDAMAGED_PAGES, pages, 2):
                file.seek(page * _PAGE)
                file.write(b"\x55" * _PAGE)
        time.sleep(SECONDS)
        self._output = _sentence_of_store(scheduler)
        self._restored = time.time()
        scheduler.stop()
        for suffix in ("-wal", "-shm"):
            Path(f"{scheduler.database}{suffix}").unlink(missing_ok=True)
        backup.replace(scheduler.database)
        scheduler.start()
        return time.time() + 1

    def problems(self, scene: Scene) -> Iterator[str]:
        """Check readiness and health."""
        yield from _untrue(scene, self._damaged, self._restored)
        if "damaged" not in self._output or ".recover" not in self._output:
            yield f"health did not say what is wrong and what to do: {self._output!r}"


_ONCE = """
    SELECT count(*) FROM rows WHERE table_name = 'history' AND partition_key IN ('0', '1', '2', '3')
    AND row_key > 'r~once-' AND row_key < 'r~once~'
"""


def _number(database: Path, query: str) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (number,) = connection.execute(query).fetchone()
        return int(number)


async def _succeeded(database: Path, since: datetime, until: datetime) -> int:
    store = await open_sqlite(database, StoreAccess.READ_ONLY)
    try:
        page = await Runs(store).list_page(outcome=Outcome.SUCCEEDED, since=since, until=until, limit=500)
        return len([record for record in page.records if record.ticket.job.startswith("once-")])
    finally:
        await store.aclose()


def _untrue(scene: Scene, since: float, until: float) -> Iterator[str]:
    """Yield whether readiness was 200 while the store was unavailable."""
    meanwhile = [status for at, status in scene.ready if since + SOON < at < until]
    if wrong := meanwhile.count(200):
        yield f"/api/health/ready answered 200 {wrong} times of {len(meanwhile)} while the store was unavailable"


def _sentence_of_store(scheduler: Scheduler) -> str:
    try:
        with urllib.request.urlopen(f"{scheduler.url}/api/health", timeout=5) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as error:
        body = json.load(error)
    return next((str(part["message"]) for part in body["parts"] if part["name"] == "store"), "")


async def _fill(database: Path) -> None:
    store = await open_sqlite(database)
    try:
        runs, began = Runs(store), datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        for start in range(0, _HISTORY, 500):
            tickets = [
                Ticket.scheduled(f"late-{number % 20:05}", began + timedelta(seconds=number // 20), "")
                for number in range(start, start + 500)
            ]
            claims = await runs.claim_all([(each, each.due_at + timedelta(minutes=1)) for each in tickets], "x", began)
            ends = [RunResult(claim, _run(claim.ticket)) for claim in claims if isinstance(claim, Claim)]
            await runs.finish_all(ends)
    finally:
        await store.aclose()


def _run(ticket: Ticket) -> Run:
    return Run(
        id=ticket.id,
        job=ticket.job,
        trigger=ticket.trigger,
        outcome=Outcome.SUCCEEDED,
        due_at=ticket.due_at,
        started_at=ticket.due_at,
        finished_at=ticket.due_at,
        message="x" * 300,
    )


ATTACKS = (FullDisk(), DamagedDatabase())
