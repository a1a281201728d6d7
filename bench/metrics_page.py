"""Time in which a real Prometheus scrapes the page of metrics of 10,000 jobs, while their runs continue.

The program runs in a separate process on a SQLite store that has the counts of some hours and a last run of each job.
Prometheus reports each `scrape_duration_seconds`: from its request to the last sample in its database. The first
scrapes are shown apart: the program reads all jobs, and Prometheus creates all series. Runs are spread over `--every`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bench._parts import finish, program, rss_mib, show, target
from bench._stats_fill import Fill
from scheduler.stores.sqlite.store import open_sqlite
from tests.parts.prometheus import Prometheus, running_prometheus

BOUND_SECONDS = 1.0
HOURS = 12
"""For which each job has counts, a run a minute."""
WARM_AFTER = 3
"""Scrapes that are shown apart."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--every", type=int, default=600, help="seconds between two runs of a job")
    options.add_argument("--interval", type=int, default=10, help="seconds between two scrapes")
    options.add_argument("--scrapes", type=int, default=12)
    options.add_argument("--histograms", default="auto", choices=["auto", "job", "none"])
    chosen = options.parse_args()
    names = [f"team-{number % 40:02d}-service-{number:05d}" for number in range(chosen.jobs)]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        runs = asyncio.run(_fill(Path(folder) / "bench.db", names))
        print(f"{runs:,} runs of {chosen.jobs:,} jobs are counted, in {time.perf_counter() - began:.0f} s")
        with target() as url:
            jobs = {
                name: {
                    "schedule": {
                        "every": f"{chosen.every}s",
                        "offset": f"{chosen.every * 1000 * number // len(names)}ms",
                    },
                    "check": {"kind": "http", "url": f"{url}/{name}"},
                }
                for number, name in enumerate(names)
            }
            settings = {"SCHEDULER_PROMETHEUS__HISTOGRAMS": chosen.histograms}
            with program(Path(folder), jobs, **settings) as (process, address):
                finish(**_measure(address, process.pid, chosen.interval, chosen.scrapes))


async def _fill(path: Path, names: list[str]) -> int:
    store = await open_sqlite(path)
    fill = Fill(store, datetime.now(UTC))
    await fill.hours(names, HOURS)
    await fill.runs(names, 1)
    await store.aclose()
    return fill.counted


def _measure(address: str, pid: int, interval: int, number: int) -> dict[str, float]:
    sizes = _request_page(address)
    config = {
        "scrape_configs": [
            {
                "job_name": "scheduler",
                "metrics_path": "/api/metrics",
                "scrape_interval": f"{interval}s",
                "scrape_timeout": f"{interval}s",
                "static_configs": [{"targets": [urlsplit(address).netloc]}],
            }
        ]
    }
    with running_prometheus(config) as prometheus:
        durations = _collect(prometheus, interval, number + WARM_AFTER)
        samples = float(prometheus.query("scrape_samples_scraped")[0]["value"][1])
        runs = prometheus.query("sum(scheduler_job_runs_total)")[0]["value"][1]
    cold, warm = durations[:WARM_AFTER], durations[WARM_AFTER:]
    rows = [("first scrapes", *_figures(cold)), (f"the next {len(warm)}", *_figures(warm))]
    show(("scrape_duration_seconds", "p50", "max"), rows)
    print(f"{samples:,.0f} samples, {runs} runs; the program uses {rss_mib(str(pid)):.0f} MiB")
    print(f"below {BOUND_SECONDS:g} s: {'yes' if max(warm) < BOUND_SECONDS else 'no'}")
    return {
        "scrape_p50_s": statistics.median(warm),
        "scrape_max_s": max(warm),
        "first_scrape_s": durations[0],
        "samples": samples,
        **sizes,
    }


def _request_page(address: str) -> dict[str, float]:
    """Request the page twice; return the size of the page in MiB, and the seconds of each request."""
    figures: dict[str, float] = {}
    for name in ("cold", "warm"):
        began = time.perf_counter()
        with urllib.request.urlopen(f"{address}/api/metrics", timeout=100) as answer:
            size = len(answer.read())
        figures |= {f"{name}_request_s": time.perf_counter() - began, "page_mib": size / 2**20}
    print(
        f"a page of {figures['page_mib']:.1f} MiB, without compression: first {figures['cold_request_s']:.2f} s, then "
        f"{figures['warm_request_s']:.2f} s"
    )
    return figures


def _collect(prometheus: Prometheus, interval: int, number: int) -> list[float]:
    """Return the durations of the first scrapes, by the instants at which Prometheus stored them."""
    found: dict[float, float] = {}
    until = time.monotonic() + interval * (number + 3)
    while len(found) < number and time.monotonic() < until:
        time.sleep(interval / 2)
        for series in prometheus.query(f"scrape_duration_seconds[{interval * (number + 3)}s]"):
            found |= {at: float(value) for at, value in series["values"]}
    return [found[at] for at in sorted(found)]


def _figures(durations: list[float]) -> tuple[float, float]:
    return statistics.median(durations), max(durations)


if __name__ == "__main__":
    main()
