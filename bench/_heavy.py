"""Ten thousand jobs each ten seconds: what a run costs, how late it is, and how much memory that takes.

Used by bench.run_cost. The program is on one core, the target on another one, where there are two. Peers are measured
one after the other in the same way, with the same targets, over the same time.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench._hosts import Host, embedded
from bench._lateness import Figures, Load, figures, finished_runs, summary
from bench._parts import cpu_seconds, get_json, on_core, percentile, rss_mib, target
from bench._peers import Peer
from scheduler.stores.runs.repository import Runs

AFTERWARDS = 3.0
"""Seconds after the last request, for its run to end and to be recorded."""
PATIENCE = 60.0
"""Seconds for those that are late."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one program. `gaps`: by how many milliseconds the time between two checks of a target differs from what it
    should be, p50 and p99, as the target saw them; `lateness`: of ours alone, p50, p99 and the greatest."""

    cpu_us: float
    checks: int
    gaps: tuple[float, float]
    rss_mib: float
    lateness: tuple[float, float, float] | None = None


def ours(load: Load, seconds: int) -> Measured:
    """The embedded host."""
    with (
        tempfile.TemporaryDirectory() as folder,
        on_core(1),
        target() as url,
        on_core(0),
        embedded(Path(folder), load.definitions(url)) as host,
        on_core(1),
    ):
        pid = host.pids["scheduler"]
        since = (host.ready_at // load.every + 2) * load.every
        cpu, memory = _cpu_and_memory(pid, since, seconds)
        time.sleep(AFTERWARDS)
        checks, gaps = _arrived(url, since, seconds, load.every)
        found = asyncio.run(_recorded(host, load, since, seconds))
        if found.missing or found.doubled_rows or found.unsuccessful:
            sys.exit(f"{found.missing} runs are missing, {found.doubled_rows} doubled, {dict(found.unsuccessful)}")
        return Measured(cpu / checks * 1e6, checks, gaps, memory, summary(found.recorded))


async def _recorded(host: Host, load: Load, since: float, seconds: int) -> Figures:
    """History of that time; on a machine that is busy, the last runs may end later than it."""
    store = await host.open_store()
    try:
        due, end = load.due(since, seconds), time.monotonic() + PATIENCE
        while True:
            found = figures(due, await finished_runs(Runs(store)), {})
            if not found.missing or time.monotonic() > end:
                return found
    finally:
        await store.aclose()


def theirs(peer: Peer, load: Load, seconds: int) -> Measured:
    """A peer, from its third round on."""
    with tempfile.TemporaryDirectory() as folder, on_core(1), target() as url:
        urls = [f"{url}/{name}" for name in load.definitions(url)]
        with peer(Path(folder), urls, load.every) as pid:
            since = time.time() + 2 * load.every
            cpu, memory = _cpu_and_memory(pid, since, seconds)
            checks, gaps = _arrived(url, since, seconds, load.every)
    if not checks:
        sys.exit("the target received no request from it")
    return Measured(cpu / checks * 1e6, checks, gaps, memory)


def _cpu_and_memory(pid: int, since: float, seconds: int) -> tuple[float, float]:
    """CPU seconds from a moment on, and MiB at the end of it."""
    time.sleep(max(0.0, since - 0.2 - time.time()))
    before = cpu_seconds(pid)
    time.sleep(max(0.0, since + seconds - 0.2 - time.time()))
    return cpu_seconds(pid) - before, rss_mib(pid)


def _arrived(url: str, since: float, seconds: int, every: int) -> tuple[int, tuple[float, float]]:
    """Return the number of requests to the target in that time, and their gaps."""
    arrivals: Mapping[str, Sequence[float]] = get_json(f"{url}/arrivals")
    observed = [[at for at in times if since - 0.2 <= at < since - 0.2 + seconds] for times in arrivals.values()]
    pairs = (pair for times in observed for pair in itertools.pairwise(times))
    gaps = [abs(later - earlier - every) * 1000 for earlier, later in pairs]
    if not gaps:
        return sum(map(len, observed)), (0.0, 0.0)
    return sum(map(len, observed)), (statistics.median(gaps), percentile(gaps, 0.99))
