"""CPU of a planning tick: how it grows with the jobs that exist, and what 10,000 due jobs cost beyond their tickets.

A tick is that of the Functions host: a minute after the last one, the same heap, every job once more. The tickets' own
cost is that of making the same ones of names, instants, stamps and generations that are all there already, so whatever
else a tick does counts as planning.

Three fleets, as schedules decide the cost:

- `alike`: twenty schedules for all of them, as generated job files have;
- `distinct`: no two alike, a fifth each: intervals with an offset, intervals with a jitter, crons with a jitter, crons
  separate, crons in time zones;
- `mixed`, which is `tick_ms`: what we take for a real one. Health checks are mostly intervals and plain crons that many
  share (`every 1m`, `* * * * *`): 60 %. Who has thousands spreads them, which makes each one's schedule its own: 30 %
  have a jitter or an offset. 10 % are crons in a time zone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from bench._parts import ROOT, finish, rss_mib, show
from jobs.definition import JobDefinition
from jobs.formats import format_run_instant
from jobs.runs import Ticket
from scheduler.catalog.catalog import Catalog, CatalogJob
from scheduler.planning.due_heap import DueHeap
from scheduler.planning.plan import plan_due

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
A_TICK = timedelta(minutes=1)
HORIZON = timedelta(seconds=75)
STILL_ON_TIME = timedelta(seconds=60)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney", "Europe/London")

Fleet = Callable[[int], object]
"""The schedule of a job by its number; each is due once a minute."""


def alike(number: int) -> object:
    return f"{number % 20 * 3} * * * * *"


def distinct(number: int) -> object:
    own = number // 5
    # Every minute from 09:00 to 09:30 is in it; what differs is when it ends.
    cron = f"{own % 60} 0-{30 + own // 60 % 30} 0-{9 + own // 1800 % 15} * * *"
    return (
        {"every": "1m", "offset": f"{own * 7 % 60_000}ms"},
        {"every": "1m", "jitter": "1m"},
        {"cron": "0 * * * * *", "jitter": "50s"},
        cron,
        {"cron": cron, "timezone": "Etc/GMT" if own % 2 else "Atlantic/Reykjavik"},
    )[number % 5]


def mixed(number: int) -> object:
    kind = number % 10
    if kind < 3:
        return {"every": "1m"}
    if kind < 6:
        return "0 * * * * *"
    if kind < 8:
        return {"every": "1m", "jitter": "1m"}
    if kind == 8:
        return {"every": "1m", "offset": f"{number * 7 % 60_000}ms"}
    return {"cron": f"{number // 10 % 60} * * * * *", "timezone": ZONES[number // 600 % len(ZONES)]}


FLEETS: dict[str, Fleet] = {"alike": alike, "distinct": distinct, "mixed": mixed}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ticks", type=int, default=15, help="ticks that are measured, of each fleet")
    options.add_argument("--memory", nargs=2, metavar=("FLEET", "JOBS"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.memory:
        print(_memory_here(FLEETS[chosen.memory[0]], int(chosen.memory[1])))
        return
    costs = {name: _beyond_tickets(fleet, 10_000, chosen.ticks) for name, fleet in FLEETS.items()}
    show(
        ("CPU of a tick with 10,000 due jobs, ms", "planned", "tickets alone", "beyond those"),
        [(name, *map(_milliseconds, cost)) for name, cost in costs.items()],
    )
    small, large = _growth(chosen.ticks)
    show(
        ("CPU of a tick with 1,000 due jobs, ms", "median"),
        [("of 10,000", _milliseconds(small)), ("of 100,000", _milliseconds(large))],
    )
    memory = {name: _memory(name, 100_000) for name in FLEETS}
    show(("memory of 100,000 jobs, MiB", "definitions", "due-heap"), [(name, *both) for name, both in memory.items()])
    finish(
        ratio_100k_to_10k=large / small,
        tick_ms=_milliseconds(costs["mixed"][2]),
        tick_alike_ms=_milliseconds(costs["alike"][2]),
        tick_distinct_ms=_milliseconds(costs["distinct"][2]),
        heap_distinct_mib=memory["distinct"][1],
    )


def _milliseconds(seconds: float) -> float:
    return seconds * 1000


def _beyond_tickets(fleet: Fleet, count: int, ticks: int) -> tuple[float, float, float]:
    """Median CPU seconds of a tick, of making its tickets alone, and of the difference."""
    costs: list[tuple[float, float, float]] = []
    for cpu, tickets in _ticks(_catalog(fleet, count), ticks):
        if len(tickets) != count:
            raise RuntimeError(f"{len(tickets)} tickets instead of {count}")
        parts = [(one.job, one.due_at, format_run_instant(one.due_at), one.generation) for one in tickets]
        begin = time.process_time()
        again = [Ticket.stamped(job, due_at, stamp, generation) for job, due_at, stamp, generation in parts]
        alone = time.process_time() - begin
        assert again == tickets
        costs.append((cpu, alone, cpu - alone))
    planned, alone, beyond = (statistics.median(column) for column in zip(*costs, strict=True))
    return planned, alone, beyond


def _growth(ticks: int) -> tuple[float, float]:
    """Median CPU seconds of a tick with 1,000 due jobs, of 10,000 and of 100,000."""

    def fleet(number: int) -> object:
        # One in the small fleet's ten is due each minute, one in the large one's hundred; the rest at another time.
        return mixed(number) if number < 1000 else f"{number % 60} {number // 60 % 60} {number // 3600 % 8} * * *"

    # In turn, so that a machine that is busy for a while is so for both.
    both = zip(_ticks(_catalog(fleet, 10_000), ticks), _ticks(_catalog(fleet, 100_000), ticks), strict=True)
    costs: list[tuple[float, float]] = []
    for (small, small_tickets), (large, large_tickets) in both:
        if not len(small_tickets) == len(large_tickets) == 1000:
            raise RuntimeError(f"{len(small_tickets)} and {len(large_tickets)} tickets instead of 1000 each")
        costs.append((small, large))
    return statistics.median(small for small, _ in costs), statistics.median(large for _, large in costs)


def _catalog(fleet: Fleet, count: int) -> Catalog:
    check = {"kind": "http", "url": "https://checkout.internal/health"}
    jobs = ({"name": f"job-{number:06}", "schedule": fleet(number), "check": check} for number in range(count))
    return Catalog(CatalogJob(JobDefinition.model_validate(job), "bench.json:1") for job in jobs)


def _ticks(jobs: Catalog, count: int) -> Iterator[tuple[float, list[Ticket]]]:
    """CPU seconds and tickets of one tick after the other, except the first two: they compute the generations."""
    cursors = DueHeap(jobs.schedules(), START)
    for number in range(count + 2):
        now = START + number * A_TICK
        begin = time.process_time()
        made = plan_due(jobs, cursors, now, HORIZON, still_on_time=STILL_ON_TIME, pauses={})
        cpu = time.process_time() - begin
        if number > 1:
            yield cpu, made.on_time


def _memory(fleet: str, count: int) -> list[float]:
    """MiB of the definitions and of their due-heap, in a separate process."""
    command = [sys.executable, "-m", "bench.planner", "--memory", fleet, str(count)]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [float(one) for one in found.split()]


def _memory_here(fleet: Fleet, count: int) -> str:
    before = rss_mib(os.getpid())
    jobs = _catalog(fleet, count)
    defined = rss_mib(os.getpid())
    cursors = DueHeap(jobs.schedules(), START)
    made = plan_due(jobs, cursors, START, timedelta(), still_on_time=STILL_ON_TIME)
    assert made.on_time == []
    return f"{defined - before} {rss_mib(os.getpid()) - defined}"


if __name__ == "__main__":
    main()
