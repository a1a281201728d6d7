"""How late do runs start, are any doubled or lost? Jobs each 10 s on loopback; the machine should be idle.

The jobs are spread over their interval; `--burst` puts all of them on one instant.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench._lateness import Figures, Load, figures, finished_runs, summary
from bench._parts import cpu_seconds, finish, get_json, program, show, target
from jobs.runs import Run
from scheduler.stores.runs import Runs
from scheduler.stores.sqlite import open_sqlite

SHOWN = 5
"""Reasons of unsuccessful runs that are printed."""
AFTERWARDS = 3.0
"""Seconds after the last due instant, for runs to end and to be recorded."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--jobs", type=int, default=1000, help="how many jobs")
    options.add_argument("--every", type=int, default=10, help="seconds between two due instants of a job")
    options.add_argument("--seconds", type=int, default=180, help="how long it is measured")
    options.add_argument("--burst", action="store_true", help="all jobs on one instant instead of spread over it")
    chosen = options.parse_args()
    load = Load(chosen.jobs, chosen.every, chosen.burst)
    seconds = math.ceil(chosen.seconds / load.every) * load.every

    with tempfile.TemporaryDirectory() as folder, target() as url:
        since, cpu, rows = embedded(Path(folder), load, url, seconds)
        arrivals = get_json(f"{url}/arrivals")
    report(figures(load.due(since, seconds), rows, arrivals), cpu)


def embedded(folder: Path, load: Load, url: str, seconds: int) -> tuple[float, Mapping[str, float], list[Run]]:
    """When the window began (Unix seconds), CPU seconds of each process in it, and every run."""
    with program(folder, load.definitions(url)) as (process, _):
        since = (time.time() // load.every + 2) * load.every
        cpu = measured({"scheduler": process.pid}, since, seconds)
    return since, cpu, asyncio.run(_stored(folder / "bench.db"))


async def _stored(path: Path) -> list[Run]:
    store = await open_sqlite(path)
    try:
        return await finished_runs(Runs(store))
    finally:
        await store.aclose()


def measured(pids: Mapping[str, int], since: float, seconds: int) -> Mapping[str, float]:
    """CPU seconds of each process from `since` on for so many seconds; returns some seconds after them."""
    time.sleep(max(0.0, since - 0.2 - time.time()))
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(max(0.0, since + seconds - 0.2 - time.time()))
    spent = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    time.sleep(AFTERWARDS)
    return spent


def report(found: Figures, cpu: Mapping[str, float]) -> None:
    """Lateness as the program recorded it, and as the target's own clock saw the requests come."""
    if not found.arrived:
        sys.exit("nothing was run: is the machine too busy to start the program?")
    print(f"{found.runs} runs, {sum(found.unsuccessful.values())} did not succeed")
    for reason, number in list(found.unsuccessful.items())[:SHOWN]:
        print(f"  {number} {reason}")
    recorded, arrived = summary(found.recorded), summary(found.arrived)
    rows = [("start minus due", *recorded), ("arrival at the target minus due", *arrived)]
    show(("milliseconds", "p50", "p99", "max"), rows)
    show(("CPU", "ms a run"), [(name, spent / max(found.runs, 1) * 1000) for name, spent in cpu.items()])
    print(f"doubled: {found.doubled_arrivals} by the target's arrivals, {found.doubled_rows} by the rows of history")
    finish(
        p50_ms=recorded[0],
        p99_ms=recorded[1],
        max_ms=recorded[2],
        runs=found.runs,
        doubled=max(found.doubled_rows, found.doubled_arrivals),
        missing=found.missing,
    )


if __name__ == "__main__":
    main()
