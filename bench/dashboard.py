"""Time of the overview with 5,000 jobs and 10 million runs, and what tabs that are left open cost.

The program runs in a separate process on a SQLite store that has the state of each job, the counts of some hours with a
run a minute, and the newest runs.

1. No job is due. The overview is requested the first time, then its other pages, then again as other tabs and polls do:
   a poll sends the ETag and gets 304. Milliseconds include the client; CPU is that of the program.
2. Tabs poll every 1.5 s, while no job is due, and while each job runs every `--every` seconds. Of both, the CPU is
   shown with and without the tabs.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx

from bench._parts import cpu_seconds, finish, percentile, program, rss_mib, show, target
from bench._stats_fill import Fill
from jobs.runs.states import Cause, JobStatus, StateChange
from scheduler.stores.changes import StateChanges
from scheduler.stores.sqlite.store import open_sqlite

PATH = "/api/dashboard"
POLL_SECONDS = 1.5
ROUNDS = 2
"""Each without tabs and with them, so that other work on the machine affects both."""
SETTLED_SECONDS = 20.0
"""From the start of the program: by then it has read all jobs."""
BOUND_MS, BOUND_BYTES, BOUND_SHARE = 20.0, 1024, 5.0
"""Of a poll of an unchanged page, and of all tabs: percent of a core."""
STATES = (JobStatus.DOWN, JobStatus.DEGRADED, *[JobStatus.UP] * 98)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=5000)
    options.add_argument("--hours", type=int, default=34, help="for which runs are counted, a run a minute of each job")
    options.add_argument("--runs", type=int, default=20, help="newest runs of each job that are stored")
    options.add_argument("--tabs", type=int, default=50)
    options.add_argument("--seconds", type=int, default=30, help="for which tabs poll in a round")
    options.add_argument("--every", type=int, default=60, help="seconds between two runs of a job")
    chosen = options.parse_args()
    names = list_names(chosen.jobs)
    with tempfile.TemporaryDirectory() as folder, target() as url:
        began = time.perf_counter()
        counted, stored = asyncio.run(fill_store(Path(folder) / "bench.db", names, chosen.hours, chosen.runs))
        print(f"{counted:,} runs of {chosen.jobs:,} jobs are counted, {stored:,} are stored", end="")
        print(f", in {time.perf_counter() - began:.0f} s")
        with program(Path(folder), define_jobs(names, url, "0 0 0 1 1 *")) as (process, address):
            figures = asyncio.run(_measure_requests(address, process.pid))
            figures |= asyncio.run(_measure_tabs(address, process.pid, "idle", chosen.tabs, chosen.seconds))
        with program(Path(folder), define_jobs(names, url, {"every": f"{chosen.every}s"})) as (process, address):
            figures |= asyncio.run(_measure_tabs(address, process.pid, "busy", chosen.tabs, chosen.seconds))
            figures["rss_mib"] = rss_mib(process.pid)
    finish(**figures)


def list_names(count: int) -> list[str]:
    return [f"team-{number % 40:02d}-service-{number:05d}" for number in range(count)]


def define_jobs(names: Sequence[str], url: str, schedule: object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, name in enumerate(names):
        one = dict(schedule) if isinstance(schedule, dict) else schedule
        if isinstance(one, dict):  # spread over the interval
            one["offset"] = f"{int(one['every'][:-1]) * 1000 * number // len(names)}ms"
        check = {"kind": "http", "url": f"{url}/{name}"}
        found[name] = {"schedule": one, "check": check, "tags": {"team": name[:7]}}
    return found


async def fill_store(path: Path, names: Sequence[str], hours: int, runs: int) -> tuple[int, int]:
    store = await open_sqlite(path)
    now, random = datetime.now(UTC), Random(1)
    fill = Fill(store, now)
    await fill.hours(names, hours)
    await fill.runs(names, runs)
    changes = StateChanges(store)
    for name in names:
        since = now - timedelta(seconds=random.uniform(60, 86400 * 5))
        state = random.choice(STATES)
        cause = Cause("unexpected_status", "Answered 503 Service Unavailable, expected 2xx.")
        await changes.write(StateChange(name, 1, state, since, cause, latest_due=since), "")
    await store.aclose()
    return fill.counted, fill.stored


async def _measure_requests(address: str, pid: int) -> dict[str, float]:
    async with httpx.AsyncClient(base_url=address, timeout=60, headers={"accept-encoding": "gzip"}) as client:
        first = await _time(client, pid, [PATH])
        others = await _time(client, pid, [f"{PATH}?page={number}" for number in range(2, 12)])
        views = await _time(client, pid, [f"{PATH}?q=service-0{number}" for number in range(10, 30)])
        shared = await _time(client, pid, [PATH] * 100)
        page = await client.get(PATH)
        poll = await _time(client, pid, [PATH] * 300, page.headers["etag"])
        unchanged = await client.get(PATH, headers={"if-none-match": page.headers["etag"]})
        wall = await _time(client, pid, ["/api/dashboard/wall"])
    size = sum(len(name) + len(value) + 4 for name, value in unchanged.headers.raw)
    rows = [
        ("first page", *first),
        ("another page, not requested before", *others),
        ("a search, not requested before", *views),
        ("the same page in another tab", *shared),
        ("poll, unchanged (304)", *poll),
        ("wall view", *wall),
    ]
    show(("milliseconds of", "p50", "max", "CPU"), rows)
    print(f"a page has {len(page.content) / 1024:.0f} KiB, a poll {size} bytes, status {unchanged.status_code}")
    is_met = unchanged.status_code == 304 and size <= BOUND_BYTES and poll[0] < BOUND_MS
    print(f"a poll below {BOUND_MS:g} ms and {BOUND_BYTES} bytes: {'yes' if is_met else 'no'}")
    return {
        "first_ms": first[0],
        "other_page_p50_ms": others[0],
        "search_p50_ms": views[0],
        "poll_p50_ms": poll[0],
        "poll_cpu_ms": poll[2],
        "poll_bytes": float(size),
    }


async def _time(
    client: httpx.AsyncClient, pid: int, paths: Sequence[str], etag: str = ""
) -> tuple[float, float, float]:
    """Return the milliseconds of the requests, one after another: median, largest, CPU of the program for each."""
    found, cpu = list[float](), cpu_seconds(pid)
    for path in paths:
        began = time.perf_counter()
        answer = await client.get(path, headers={"if-none-match": etag} if etag else {})
        found.append((time.perf_counter() - began) * 1000)
        if answer.status_code not in (200, 304):
            raise RuntimeError(f"{path} answered {answer.status_code}")
    return statistics.median(found), max(found), (cpu_seconds(pid) - cpu) / len(paths) * 1000


async def _measure_tabs(address: str, pid: int, name: str, tabs: int, seconds: int) -> dict[str, float]:
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        (await client.get(PATH)).raise_for_status()
    await asyncio.sleep(SETTLED_SECONDS)
    used: dict[bool, list[float]] = {False: [], True: []}
    statuses: Counter[int] = Counter()
    times: list[float] = []
    for with_tabs in (False, True) * ROUNDS:
        cpu, began = cpu_seconds(pid), time.perf_counter()
        if with_tabs:
            polls = (_poll(address, number * POLL_SECONDS / tabs, began + seconds) for number in range(tabs))
            for found, durations in await asyncio.gather(*polls):
                statuses.update(found)
                times += durations
        await asyncio.sleep(max(0.0, began + seconds - time.perf_counter()))
        used[with_tabs].append((cpu_seconds(pid) - cpu) / (time.perf_counter() - began) * 100)
    shares = {with_tabs: statistics.mean(values) for with_tabs, values in used.items()}
    added = shares[True] - shares[False]
    show(
        (f"percent of a core, {name}", "without", f"with {tabs} tabs", "added"),
        [("CPU of the program", shares[False], shares[True], added)],
    )
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    print(f"{answers}; p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms")
    print(f"below {BOUND_SHARE:g} % of a core: {'yes' if added < BOUND_SHARE else 'no'}")
    return {f"tabs_{name}_share": added, f"tabs_{name}_p99_ms": percentile(times, 0.99)}


async def _poll(address: str, delay: float, until: float) -> tuple[Counter[int], list[float]]:
    """Poll as a tab does, from `delay` seconds on."""
    statuses: Counter[int] = Counter()
    times: list[float] = []
    etag = ""
    await asyncio.sleep(delay)
    async with httpx.AsyncClient(base_url=address, timeout=60, headers={"accept-encoding": "gzip"}) as client:
        while time.perf_counter() < until:
            began = time.perf_counter()
            answer = await client.get(PATH, headers={"if-none-match": etag} if etag else {})
            times.append((time.perf_counter() - began) * 1000)
            statuses[answer.status_code] += 1
            etag = answer.headers.get("etag", "")
            await asyncio.sleep(POLL_SECONDS)
    return statuses, times


if __name__ == "__main__":
    main()
