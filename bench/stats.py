"""Time of statistics over 10 million runs, of lists from the first page to the last, and of counting runs.

1. A SQLite store gets the rollups of 60 jobs that ran once a minute for 120 days, and their newest runs. Statistics of
   a job and of all jobs are requested over the API for 24 h, 7 d and 90 d. The first request of a kind, for which
   nothing is cached, is shown apart.
2. All runs are listed page by page.
3. A smaller store really finishes runs and deletes them: statistics must equal a count made before.
4. What counting adds to finishing a run.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import yaml

from bench._parts import ROOT, finish, rss_mib, show
from bench._stats_fill import Fill, random_run
from config.loading import load_configuration
from jobs.runs import Outcome, Run, Ticket
from scheduler.api.app import create_api
from scheduler.app.program import Program, open_program
from scheduler.cli.command_profile import CommandProfile
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Claim, RunResult, Runs
from scheduler.stores.runs.rollups.counting import FinishingChanges
from scheduler.stores.sqlite.store import open_sqlite

WINDOWS = ("24h", "7d", "90d")
BOUND_MS = 50.0
LEASE = timedelta(hours=1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=60)
    options.add_argument("--days", type=int, default=120, help="of rollups, a run a minute of each job")
    options.add_argument("--runs", type=int, default=2000, help="newest runs of each job that are stored")
    options.add_argument("--requests", type=int, default=100, help="of each kind")
    chosen = options.parse_args()
    figures = asyncio.run(_measure(chosen.jobs, chosen.days, chosen.runs, chosen.requests))
    figures |= asyncio.run(_compare_with_count())
    figures |= asyncio.run(_measure_counting())
    finish(**figures)


async def _measure(jobs: int, days: int, runs: int, requests: int) -> dict[str, float]:
    names = [f"job-{number:03d}" for number in range(jobs)]
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            program, client = await _open(Path(folder), names, stack)
            fill = Fill(program.store, datetime.now(UTC))
            began = time.perf_counter()
            await fill.rollups(names, days)
            await fill.runs(names, runs)
            size = _size_mib(Path(folder))
            print(
                f"{fill.counted:,} runs of {jobs} jobs in {days} days are counted, {fill.stored:,} are stored: "
                f"{size:.0f} MiB, in {time.perf_counter() - began:.0f} s"
            )
            figures = await _time_stats(client, names, requests, fill.counted, days)
            return figures | await _time_lists(client, names, fill.stored)


async def _time_stats(
    client: httpx.AsyncClient, names: Sequence[str], requests: int, counted: int, days: int
) -> dict[str, float]:
    random, rows, figures = Random(1), [], dict[str, float]()
    for window in WINDOWS:
        for kind in ("job", "all", "tag"):

            async def request(kind: str = kind, window: str = window) -> None:
                path = f"/api/jobs/{random.choice(names)}/stats" if kind == "job" else "/api/stats"
                query = {"window": window} | ({"tag": "team"} if kind == "tag" else {})
                (await client.get(path, params=query)).raise_for_status()

            first, *times = await _times(request, requests + 1)
            p95 = statistics.quantiles(times, n=20)[-1]
            rows.append((f"{window}, {kind}", first, statistics.median(times), p95, max(times)))
            figures[f"stats_{window}_{kind}_p95_ms"] = p95
    show(("statistics, ms", "first", "p50", "p95", "max"), rows)
    whole = (await client.get("/api/stats", params={"window": "365d"})).json()["stats"]["runs"]
    if days < 365 and whole != counted:
        raise RuntimeError(f"the statistics have {whole} runs, and {counted} were counted")
    late = [name for name, value in figures.items() if value > BOUND_MS]
    print(f"p95 below {BOUND_MS:g} ms: {'no, ' + ', '.join(late) if late else 'yes'}; {rss_mib('self'):.0f} MiB in use")
    return figures


async def _time_lists(client: httpx.AsyncClient, names: Sequence[str], stored: int) -> dict[str, float]:
    rows, figures = [], dict[str, float]()
    for kind, query in (("all jobs", {}), ("one job", {"job": names[0]})):
        times, found, continuation = list[float](), 0, None
        while True:
            began = time.perf_counter()
            more = {} if continuation is None else {"continuation": continuation}
            page = (await client.get("/api/runs", params={"limit": 100, **query, **more})).raise_for_status().json()
            times.append((time.perf_counter() - began) * 1000)
            found, continuation = found + len(page["runs"]), page["continuation"]
            if continuation is None:
                break
        if found != (stored if not query else stored // len(names)):
            raise RuntimeError(f"{kind}: {found} runs were listed")
        tenth = max(1, len(times) // 10)
        first, last = statistics.median(times[:tenth]), statistics.median(times[-tenth:])
        rows.append((kind, len(times), first, statistics.median(times), last))
        figures[f"list_{kind.replace(' ', '_')}_last_to_first"] = last / first
    show(("pages of 100 runs, ms", "pages", "first tenth", "p50", "last tenth"), rows)
    return figures


async def _compare_with_count() -> dict[str, float]:
    """Finish runs, delete most of them, and compare the statistics with the count."""
    now, random = datetime.now(UTC), Random(3)
    names = [f"job-{number}" for number in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            program, client = await _open(Path(folder), names, stack)
            done = await _finish_runs(program.runs, names, now, random)
            await _require_equal_windows(client, names, done, now)
            await program.runs.prune(now, 86400, 20)
            left = len((await program.runs.list_page(limit=1000)).records)
        # In another process, which has nothing in its cache.
        async with AsyncExitStack() as stack:
            await _require_equal_windows((await _open(Path(folder), names, stack))[1], names, done, now)
    print(f"statistics equal the count of {len(done)} runs, before and after all but {left} of them were deleted")
    return {"equal_runs": float(len(done)), "left_runs": float(left)}


async def _finish_runs(runs: Runs, names: Sequence[str], now: datetime, random: Random) -> list[Run]:
    done: list[Run] = []
    for name in names:
        for _ in range(400):
            run = random_run(random, name, now - timedelta(seconds=random.uniform(60, 100 * 86400)))
            ticket = Ticket(run.id, run.job, run.trigger, run.due_at, run.generation, run.correlation_id)
            claim = await runs.claim(ticket, "bench", now + LEASE, now)
            if isinstance(claim, Claim):
                await runs.finish(claim, run)
                done.append(run)
    return done


async def _require_equal_windows(
    client: httpx.AsyncClient, names: Sequence[str], done: Sequence[Run], now: datetime
) -> None:
    for window, days in (("24h", 1), ("7d", 7), ("90d", 90)):
        for name in names:
            body = (await client.get(f"/api/jobs/{name}/stats", params={"window": window})).json()["stats"]
            _require_equal(body, [run for run in done if run.job == name], now - timedelta(days=days))


def _require_equal(body: dict[str, Any], runs: Sequence[Run], since: datetime) -> None:
    begin, end = (datetime.fromisoformat(body[name]) for name in ("from", "to"))
    if not begin <= since < begin + timedelta(hours=1):
        raise RuntimeError(f"the window begins at {begin}, not in the hour of {since}")
    counted = Counter(run.outcome for run in runs if begin <= run.due_at < end)
    if body["outcomes"] != {outcome.value: counted[outcome] for outcome in Outcome}:
        raise RuntimeError(f"{body['outcomes']} is not the count {counted}")


async def _measure_counting() -> dict[str, float]:
    """CPU of finishing a run, a hundred at a time, with and without counting it."""
    costs = {is_counted: [await _finishing_cost(is_counted) for _ in range(3)] for is_counted in (True, False)}
    with_count, without = (min(costs[is_counted]) for is_counted in (True, False))
    show(
        ("finishing a run, us", "CPU"),
        [("without its count", without), ("with its count", with_count), ("counting", with_count - without)],
    )
    return {"count_us": with_count - without}


async def _finishing_cost(is_counted: bool) -> float:
    now, random, cpu, number = datetime(2026, 11, 25, 12, tzinfo=UTC), Random(5), 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        store = await open_sqlite(Path(folder) / "store.db")
        runs = Runs(store)
        if not is_counted:

            async def apply(items: Sequence[FinishingChanges]) -> Sequence[str | StoreError]:
                results = await store.apply_each([item.changes for item in items])
                return [result if isinstance(result, StoreError) else result[0] for result in results]

            runs._counting.finish_all = apply  # type: ignore[method-assign]  # what finishing did before
        for second in range(100):
            done = [random_run(random, f"job-{job}", now + timedelta(seconds=second)) for job in range(100)]
            tickets = [Ticket(run.id, run.job, run.trigger, run.due_at, "abcdef123456", run.id) for run in done]
            claims = await runs.claim_all([(ticket, now + LEASE) for ticket in tickets], "bench", now)
            ends = [RunResult(claim, run) for claim, run in zip(claims, done, strict=True) if isinstance(claim, Claim)]
            before = _cpu()
            await runs.finish_all(ends)
            cpu, number = cpu + _cpu() - before, number + len(ends)
        await store.aclose()
    return cpu / number * 1e6


def _size_mib(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.glob("store.db*")) / 2**20


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _times(request: Callable[[], Awaitable[None]], number: int) -> list[float]:
    """Milliseconds of each request."""
    found = []
    for _ in range(number):
        began = time.perf_counter()
        await request()
        found.append((time.perf_counter() - began) * 1000)
    return found


async def _open(folder: Path, names: Sequence[str], stack: AsyncExitStack) -> tuple[Program, httpx.AsyncClient]:
    jobs = {
        "jobs": [
            {
                "name": name,
                "schedule": {"every": "1m"},
                "check": {"kind": "http", "url": "http://127.0.0.1:9/"},
                "tags": {"team": f"team-{number % 8}"},
            }
            for number, name in enumerate(names)
        ]
    }
    (folder / "jobs.yaml").write_text(yaml.safe_dump(jobs), encoding="utf-8")
    environ = {
        "SCHEDULER_JOBS": str(folder / "jobs.yaml"),
        "SCHEDULER_STORE": f"sqlite:///{folder / 'store.db'}",
        "SCHEDULER_ENVIRONMENT": "test",
    }
    await (await open_sqlite(folder / "store.db")).aclose()
    configuration = load_configuration(environ, root=ROOT)
    program = await stack.enter_async_context(open_program(configuration, CommandProfile()))
    transport = httpx.ASGITransport(create_api(program))
    return program, await stack.enter_async_context(
        httpx.AsyncClient(transport=transport, base_url="http://scheduler.bench")
    )


if __name__ == "__main__":
    main()
