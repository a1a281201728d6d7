"""How late do runs start, are any doubled or lost? Jobs each 10 s on loopback; the machine should be idle.

By default the embedded host runs them and they are spread over their interval. `--burst` puts all of them on one
instant; `--azure` has two Functions-style workers and a ticker run them on Azurite, which takes ever longer for a
transaction as its tables grow: give 1,000 jobs `--seconds 30`. `--stall 30` stops Azurite for 30 s.

The last line is JSON: milliseconds of start minus due instant, runs, `doubled` (a due instant with two requests
twice or has two runs), `missing` (due instants without a finished run) and `operations_a_run` (of storage, by the
program). With a stall, `recovered_s` is how long after it the last due instant lay that was run late or skipped.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench._hosts import Host, embedded, functions_style
from bench._lateness import Figures, Load, figures, finished_runs, summary
from bench._operations import HOST
from bench._parts import PROCESSES, cpu_seconds, finish, get_json, show, target
from bench._stall import Stall, after_stall
from jobs.formats import format_run_instant
from jobs.runs import Run
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.runs.repository import Runs

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TRIES = 5
"""Of reading the history, before the bench fails."""
STALL_AFTER = 25.0
"""Seconds of normal load before the storage stands still."""
SHOWN = 5
"""Reasons of unsuccessful runs that are printed."""
AFTERWARDS = 6.0
"""Seconds after the last request, for its run to end and to be recorded: results wait up to 3 s for others on Azure."""
PATIENCE = 60.0
"""Seconds for requests that are late."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--jobs", type=int, default=1000, help="how many jobs")
    options.add_argument("--every", type=int, default=10, help="seconds between two due instants of a job")
    options.add_argument("--seconds", type=int, default=180, help="how long it is measured")
    options.add_argument("--burst", action="store_true", help="all jobs on one instant instead of spread over it")
    options.add_argument("--azure", action="store_true", help="two Functions-style workers and a ticker on Azurite")
    options.add_argument("--stall", type=int, default=0, help="with --azure: seconds for which storage stands still")
    options.add_argument("--processes", default="1", help="of the embedded host, as the option of `serve`")
    chosen = options.parse_args()
    os.environ[PROCESSES] = chosen.processes
    if chosen.stall and not chosen.azure:
        options.error("--stall stops Azurite: give --azure, too")
    load = Load(chosen.jobs, chosen.every, chosen.burst)
    seconds = math.ceil(chosen.seconds / load.every) * load.every

    start = functions_style if chosen.azure else embedded
    with (
        tempfile.TemporaryDirectory() as folder,
        target() as url,
        start(Path(folder), load.definitions(url)) as host,
    ):
        since = (host.ready_at // load.every + 2) * load.every
        due = load.due(since, seconds)
        stall = (
            Stall(host.storage_pid, since + STALL_AFTER, chosen.stall) if host.storage_pid and chosen.stall else None
        )
        with nullcontext() if stall is None else stall.made():
            cpu = measured(host.pids, since, seconds)
        arrivals = arrived(url, due)
        operations = {} if host.operations is None else host.operations.counts(since, seconds)
        host.stop()
        rows = asyncio.run(stored(host))
    report(figures(due, rows, arrivals), cpu, operations, {} if stall is None else after_stall(stall, due, rows))


def measured(pids: Mapping[str, int], since: float, seconds: int) -> Mapping[str, float]:
    """CPU seconds of each process from `since` on for so many seconds."""
    time.sleep(max(0.0, since - 0.2 - time.time()))
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(max(0.0, since + seconds - 0.2 - time.time()))
    return {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}


def arrived(url: str, due: set[tuple[str, int]]) -> Mapping[str, list[float]]:
    """Return the times of requests to the target (Unix seconds), by run id; once all due runs arrived or the wait is
    over."""
    expected = {f"{job}@{format_run_instant(EPOCH + timedelta(milliseconds=ms))}" for job, ms in due}
    end = time.monotonic() + PATIENCE
    while True:
        arrivals: dict[str, list[float]] = get_json(f"{url}/arrivals/runs")
        if expected <= arrivals.keys() or time.monotonic() > end:
            break
        time.sleep(AFTERWARDS)
    time.sleep(AFTERWARDS)
    last: dict[str, list[float]] = get_json(f"{url}/arrivals/runs")
    return last


async def stored(host: Host) -> list[Run]:
    """Every finished run; Azurite may have a backlog of requests for a while."""
    for _ in range(TRIES):
        try:
            return await _stored(host)
        except StoreUnavailable as error:
            print(f"the store does not answer yet: {error}", file=sys.stderr)
    return await _stored(host)


async def _stored(host: Host) -> list[Run]:
    store = await host.open_store()
    try:
        return await finished_runs(Runs(store))
    finally:
        await store.aclose()


def report(found: Figures, cpu: Mapping[str, float], operations: Mapping[str, int], after: Mapping[str, float]) -> None:
    """Lateness as the program recorded it, and as the target's own clock saw the requests come; storage operations."""
    if not found.arrived:
        sys.exit("nothing was run: is the machine too busy to start the program?")
    print(f"{found.runs} runs, {sum(found.unsuccessful.values())} did not succeed")
    for reason, number in list(found.unsuccessful.items())[:SHOWN]:
        print(f"  {number} {reason}")
    recorded, arrived = summary(found.recorded), summary(found.arrived)
    rows = [("start minus due", *recorded), ("arrival at the target minus due", *arrived)]
    show(("milliseconds", "p50", "p99", "max"), rows)
    show(("CPU", "ms a run"), [(name, spent / max(found.runs, 1) * 1000) for name, spent in cpu.items()])
    program_operations = sum(number for kind, number in operations.items() if kind != HOST)
    if operations:
        show(
            ("storage operations", "number", "a run"),
            [(kind, number, number / max(found.runs, 1)) for kind, number in operations.items()],
        )
        print(f"{program_operations / max(found.runs, 1):.3f} operations a run are the program's")
    print(f"doubled: {found.doubled_arrivals} by the target's arrivals, {found.doubled_rows} by the rows of history")
    if after:
        print("after the stall: " + ", ".join(f"{name} {value:g}" for name, value in after.items()))
    finish(
        p50_ms=recorded[0],
        p99_ms=recorded[1],
        max_ms=recorded[2],
        runs=found.runs,
        doubled=max(found.doubled_rows, found.doubled_arrivals),
        missing=found.missing,
        operations_a_run=program_operations / max(found.runs, 1),
        **after,
    )


if __name__ == "__main__":
    main()
