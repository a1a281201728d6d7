"""CPU of a whole run (planned, fresh connection, judged, stored, logged) against a bare httpx request, and memory.

With `--heavy`: 10,000 jobs each 10 s, how much CPU a run takes then, how late it is, and how much memory the program
has after a minute. `--gatus PATH` and `--blackbox PATH` measure these programs as well, over the same targets.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench._heavy import Measured, ours, theirs
from bench._lateness import Load
from bench._parts import PROCESSES, ROOT, cpu_seconds, finish, get_json, program, rss_mib, show, target
from bench._peers import blackbox, gatus

EVERY = 10
"""Seconds between two due instants of a job."""
AT_ONCE = 200
"""Bare requests under way at a time: as many as the program's worker has places."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=3, help="rounds of program and bare requests, in turn")
    options.add_argument("--registered", type=int, default=10_000, help="jobs in memory when it is measured")
    options.add_argument("--heavy", action="store_true", help="10,000 jobs each 10 s instead, spread over that time")
    options.add_argument("--heavy-jobs", type=int, default=10_000, help="another number of those")
    options.add_argument("--seconds", type=int, default=60, help="how long each program of --heavy is measured")
    options.add_argument("--gatus", type=Path, metavar="PATH", help="with --heavy: a Gatus to compare with")
    options.add_argument("--blackbox", type=Path, metavar="PATH", help="with --heavy: the same of a blackbox_exporter")
    options.add_argument("--processes", default="1", help="of this program, as the option of `serve`")
    options.add_argument("--bare", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    os.environ[PROCESSES] = chosen.processes
    if chosen.heavy:
        _heavy(Load(chosen.heavy_jobs, EVERY, burst=False), chosen.seconds, chosen.gatus, chosen.blackbox)
        return
    if chosen.bare:
        print(asyncio.run(_bare(chosen.bare, chosen.jobs)))
        return
    with target() as url:
        rounds = [(_whole_runs(url, chosen.jobs), bare_requests(url, chosen.jobs)) for _ in range(chosen.rounds)]
    ratios = [whole / bare for whole, bare in rounds]
    memory = _memory(chosen.registered)
    show(
        ("CPU, us each", "median", "min", "max"),
        [
            (name, statistics.median(values), min(values), max(values))
            for name, values in (
                ("whole run", [whole * 1e6 for whole, _ in rounds]),
                ("bare httpx request", [bare * 1e6 for _, bare in rounds]),
                ("ratio", ratios),
            )
        ],
    )
    show(("memory", "MiB"), [(f"{chosen.registered} registered jobs", memory)])
    finish(ratio_to_httpx=statistics.median(ratios), rss_mib=memory)


def _heavy(load: Load, seconds: int, gatus_path: Path | None, blackbox_path: Path | None) -> None:
    measured = {"this program": ours(load, seconds)}
    for name, path, peer in (("Gatus", gatus_path, gatus), ("blackbox_exporter", blackbox_path, blackbox)):
        if path is None:
            print(f"{name}: skipped, as no path to it is given (--{peer.__name__} PATH)")
        else:
            measured[name] = theirs(peer(path.resolve()), load, seconds)
    show(
        (f"{load.count} jobs each {load.every} s", "CPU, us a check", "checks", "MiB", "gap off by, ms p50", "p99"),
        [(name, one.cpu_us, one.checks, one.rss_mib, *one.gaps) for name, one in measured.items()],
    )
    mine = measured.pop("this program")
    assert mine.lateness is not None
    show(("lateness of this program, ms", "p50", "p99", "max"), [("start minus due", *mine.lateness)])
    finish(
        heavy_cpu_us=mine.cpu_us,
        heavy_late_p50_ms=mine.lateness[0],
        heavy_late_p99_ms=mine.lateness[1],
        heavy_rss_mib=mine.rss_mib,
        **_compare(measured),
    )


def _compare(peers: Mapping[str, Measured]) -> dict[str, float]:
    """Theirs, as figures."""
    figures: dict[str, float] = {}
    for name, one in peers.items():
        short = name.partition("_")[0].lower()
        figures |= {f"{short}_cpu_us": one.cpu_us, f"{short}_gap_p99_ms": one.gaps[1], f"{short}_rss_mib": one.rss_mib}
    return figures


def _whole_runs(url: str, count: int) -> float:
    """CPU seconds a run of the program itself, over three due instants, everything it does meanwhile included."""
    jobs = {
        f"cost-{number}": {"schedule": {"every": f"{EVERY}s"}, "check": {"kind": "http", "url": f"{url}/cost"}}
        for number in range(count)
    }
    with tempfile.TemporaryDirectory() as folder, program(Path(folder), jobs) as (process, api):
        sleep_until_between()
        cpu, runs = cpu_seconds(process.pid), len(get_json(f"{url}/arrivals").get("/cost", []))
        time.sleep(3 * EVERY)
        cpu, runs = cpu_seconds(process.pid) - cpu, len(get_json(f"{url}/arrivals")["/cost"]) - runs
        newest = get_json(f"{api}/api/runs?limit=500")["runs"]
        failed = [run for run in newest if run["outcome"] != "succeeded"]
        if runs != 3 * count or failed:
            raise RuntimeError(f"{runs} runs instead of {3 * count}, {len(failed)} of the newest failed")
    return cpu / runs


def sleep_until_between() -> None:
    """To the middle between two due instants, after at least one of them: everything is imported and warm then."""
    time.sleep(EVERY - time.time() % EVERY + EVERY / 2)


def bare_requests(url: str, count: int) -> float:
    command = [sys.executable, "-m", "bench.run_cost", "--bare", f"{url}/bare", "--jobs", str(3 * count)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


async def _bare(url: str, count: int) -> float:
    """CPU seconds a GET with httpx as shipped: one client, a fresh connection each."""
    import httpx

    places = asyncio.Semaphore(AT_ONCE)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as client:

        async def send_request() -> None:
            async with places:
                (await client.get(url)).raise_for_status()

        await asyncio.gather(*(send_request() for _ in range(100)))
        began = time.process_time()
        await asyncio.gather(*(send_request() for _ in range(count)))
        return (time.process_time() - began) / count


def _memory(count: int) -> float:
    jobs = {
        f"idle-{number}": {
            "schedule": f"{number % 60} {number // 60 % 60} 3 1 1 *",
            "check": {"kind": "http", "url": f"http://127.0.0.1:9/{number}"},
        }
        for number in range(count)
    }
    with tempfile.TemporaryDirectory() as folder, program(Path(folder), jobs) as (process, _):
        return rss_mib(process.pid)


if __name__ == "__main__":
    main()
