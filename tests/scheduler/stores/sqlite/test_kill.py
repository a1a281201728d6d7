"""SIGKILL at any moment loses nothing that was acknowledged, and leaves nothing half done."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from scheduler.stores.runs.keys import DONE_PREFIX, OPEN_PREFIX, RUN_PREFIX, RunKey
from scheduler.stores.runs.rollups.keys import HOUR_PREFIX

ROOT = Path(__file__).resolve().parents[4]
ROUNDS = 12

WORKER = """
import asyncio, os, sys
from pathlib import Path
from scheduler.stores.runs.repository import Claim, Runs
from scheduler.stores.sqlite.store import open_sqlite
from tests.scheduler.stores.samples import LEASE, NOON, run_of, ticket

async def work(runs, first, job):
    second = first
    while True:
        wanted = ticket(f"job{job}", second)
        claim = await runs.claim(wanted, "one", NOON + LEASE, NOON)
        os.write(1, f"claimed {wanted.id}\\n".encode())
        await runs.finish(claim, run_of(wanted))
        os.write(1, f"finished {wanted.id}\\n".encode())
        second += 1

async def main(path, first):
    runs = Runs(await open_sqlite(Path(path)))
    await asyncio.gather(*(work(runs, int(first), job) for job in range(20)))

asyncio.run(main(*sys.argv[1:]))
"""


def acknowledged(path: Path, number: int, seconds: float) -> list[str]:
    """What a worker says it has stored until it is killed, `seconds` after its first word."""
    command = [sys.executable, "-c", WORKER, str(path), str(number * 100_000)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        said = [worker.stdout.readline()]
        threading.Timer(seconds, worker.kill).start()
        said += worker.stdout.readlines()
    # The last line may have been cut by the kill as well.
    return [line for line in said if line.endswith("\n")]


def test_every_acknowledged_write_outlives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    chance = random.Random()
    said: list[str] = []
    for number in range(ROUNDS):
        said += acknowledged(path, number, chance.uniform(0.0, 0.15))
    claimed, finished = (
        {line.split()[1] for line in said if line.startswith(word)} for word in ("claimed", "finished")
    )
    assert len(finished) > ROUNDS
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT row_key, body FROM rows WHERE table_name = 'history'").fetchall()
    running = run_ids(RUN_PREFIX, rows, lambda body: '"is":"running"' in body)
    ended = run_ids(RUN_PREFIX, rows) - running
    assert finished <= ended
    assert claimed <= ended | running
    counted = sum(sum(json.loads(body)[0][0]) for key, body in rows if key.startswith(HOUR_PREFIX))
    assert counted == len(ended)
    # Each apply is there wholly or not at all.
    assert run_ids(OPEN_PREFIX, rows) == running
    assert run_ids(DONE_PREFIX, rows) == ended


def run_ids(
    beginning: str, rows: Iterable[tuple[str, str]], chosen: Callable[[str], bool] = lambda body: True
) -> set[str]:
    return {RunKey.from_row_key(key).run_id for key, body in rows if key.startswith(beginning) and chosen(body)}
