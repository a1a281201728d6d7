"""How fast does the API answer while 200 runs a second execute in its process, and do reads make runs late?

The embedded host runs jobs on loopback. Rounds with and without a client follow each other, so that other work on the
machine affects both: lateness is compared between them. The client sends reads and writes (pause, resume, run now) at a
fixed rate.

The last line is JSON: milliseconds of API requests, lateness (start minus due) with and without the client, runs,
`missing` (due instants without a finished run), and requests with an unexpected status.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench._api_client import Client, Measured
from bench._lateness import Load, figures, finished_runs, summary
from bench._parts import cpu_seconds, finish, program, show, target
from jobs.runs import Run
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite

OPERATED = 10
"""On-demand jobs that the client pauses, resumes and runs."""
WARM_UP = 5.0
"""Seconds of runs and requests before anything is measured."""
SETTLED_AFTER = 3.0
"""Seconds until the last runs are recorded."""


@dataclass(frozen=True, slots=True)
class Round:
    """Unix seconds, and CPU seconds of the program."""

    since: int
    seconds: int
    with_client: bool
    cpu: float


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--runs", type=int, default=200, help="runs a second")
    options.add_argument("--rate", type=float, default=50, help="requests a second")
    options.add_argument("--rounds", type=int, default=3, help="rounds with and without the client")
    options.add_argument("--seconds", type=int, default=10, help="duration of a round")
    chosen = options.parse_args()
    load = Load(count=chosen.runs, every=1, burst=False)
    with tempfile.TemporaryDirectory() as folder, target() as url:
        jobs = load.definitions(url)
        operated = {f"operated-{number}": {"check": {"url": f"{url}/operated"}} for number in range(OPERATED)}
        with program(Path(folder), jobs | operated) as (process, api):
            client = Client(api, [*jobs], [*operated])
            rounds = asyncio.run(measure(client, process.pid, chosen.rounds, chosen.seconds, chosen.rate))
            time.sleep(SETTLED_AFTER)
        runs = asyncio.run(stored(Path(folder) / "bench.db"))
    report(load, client.measured, rounds, runs)


async def measure(client: Client, pid: int, rounds: int, seconds: int, rate: float) -> list[Round]:
    await client.send_until(time.time() + WARM_UP, rate)
    client.measured = Measured()
    measured = []
    for number in range(2 * rounds):
        since = int(time.time()) + 2
        await asyncio.sleep(since - time.time())
        before = cpu_seconds(pid)
        if number % 2:
            await client.send_until(since + seconds, rate)
        await asyncio.sleep(max(0.0, since + seconds - time.time()))
        measured.append(Round(since, seconds, bool(number % 2), cpu_seconds(pid) - before))
    return measured


async def stored(database: Path) -> list[Run]:
    store = await open_sqlite(database, StoreAccess.READ_ONLY)
    try:
        return await finished_runs(Runs(store))
    finally:
        await store.aclose()


def report(load: Load, measured: Measured, rounds: Sequence[Round], runs: Sequence[Run]) -> None:
    rows = [(kind, len(values), *summary(values)) for kind, values in measured.milliseconds.items()]
    show(
        ("milliseconds of", "requests", "p50", "p99", "max"),
        [*rows, ("all", len(measured.all()), *summary(measured.all()))],
    )
    late, cpu, missing = {}, {}, 0
    for with_client in (False, True):
        due = {each for one in rounds if one.with_client is with_client for each in load.due(one.since, one.seconds)}
        found = figures(due, runs, {})
        late[with_client], missing = summary(found.recorded), missing + found.missing
        cpu[with_client] = sum(one.cpu for one in rounds if one.with_client is with_client) / len(due) * 1000
        for reason, number in found.unsuccessful.items():
            print(f"  {number} {reason}")
    names = {False: "without the client", True: "with the client"}
    show(
        ("lateness in milliseconds", "p50", "p99", "max", "CPU a run"),
        [(names[key], *late[key], cpu[key]) for key in late],
    )
    print(*(f"{number} x {kind}" for kind, number in measured.unexpected.items()), sep="\n")
    p50, p99, _ = summary(measured.all())
    finish(
        api_p50_ms=p50,
        api_p99_ms=p99,
        late_p50_ms=late[True][0],
        late_p99_ms=late[True][1],
        late_without_p50_ms=late[False][0],
        late_without_p99_ms=late[False][1],
        runs=len(runs),
        missing=missing,
        unexpected=sum(measured.unexpected.values()),
    )
    sys.exit(1 if missing or measured.unexpected else 0)


if __name__ == "__main__":
    main()
