"""Does telemetry that goes nowhere slow the runs down? All exporters black-holed, next to a program without telemetry.

Two embedded hosts run the same jobs in turn, half an interval apart, so that both feel the same machine: one without
exporters, one whose Application Insights, Datadog and OTLP endpoints accept connections and never answer. All jobs of a
host are due on one instant, so the time in which an instant is finished is the throughput.

    ./dev bench telemetry                        # the default settings of telemetry
    ./dev bench telemetry --spread               # without bursts: lateness at a moderate load
    ./dev bench telemetry --everything           # each run has events, availability rows, spans and metrics

The last line is JSON: the median of the ratios black hole / off of throughput and lateness over all rounds, and the
resident memory of both at the end (MiB). Above 1.05 the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench._lateness import Load, finished_runs
from bench._parts import cpu_seconds, finish, get_json, percentile, program, rss_mib, show, target
from jobs.runs import Run
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite

LIMIT = 1.05
"""Of the ratios."""
WARM_UP_S = 30.0
"""Seconds until the exporters have imported their SDKs, and have sent the row that the first run of each job has."""
SETTLE_S = 5.0
"""Seconds after the last due instant, for its runs to end and to be recorded."""
KEY = "00000000-1111-2222-3333-444444444444"
EVERYTHING = {
    "SCHEDULER_TELEMETRY__EVENTS": "all",
    "SCHEDULER_TELEMETRY__AVAILABILITY": "all",
    "SCHEDULER_TELEMETRY__SPANS": "all",
    "SCHEDULER_TELEMETRY__METRICS": "all",
}


@dataclass(frozen=True, slots=True)
class Observed:
    """Of one program in one round. `drain`: milliseconds from each due instant to the end of its last run; `late`:
    milliseconds of each run; `cpu`: milliseconds a run; `rss`: MiB at the end; `dropped`: lost telemetry."""

    drain: Sequence[float]
    late: Sequence[float]
    cpu: float
    rss: float
    dropped: int

    @property
    def figures(self) -> Mapping[str, float]:
        return {
            "drain": statistics.median(self.drain),
            "late_p50": percentile(self.late, 0.5),
            "late_p99": percentile(self.late, 0.99),
            "cpu": self.cpu,
        }


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that accepts connections, reads, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener, ExitStack() as accepted:

        def read(connection: socket.socket) -> None:
            try:
                while connection.recv(65536):
                    pass
            except OSError:
                pass  # the client has given up

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # the bench has closed the listener
                accepted.enter_context(connection)
                threading.Thread(target=read, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def exporters_to(port: int) -> dict[str, str]:
    """Return the settings that send all telemetry to a port of this machine."""
    url = f"http://127.0.0.1:{port}"
    return {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={KEY};IngestionEndpoint={url}/",
        "SCHEDULER_DATADOG__URL": url,
        "DD_API_KEY": "bench-key",
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--jobs", type=int, default=500, help="how many jobs, all due on one instant")
    options.add_argument("--every", type=int, default=10, help="seconds between two due instants")
    options.add_argument("--seconds", type=int, default=60, help="how long a round measures")
    options.add_argument("--rounds", type=int, default=3, help="how often")
    options.add_argument("--spread", action="store_true", help="jobs spread over their interval instead of one instant")
    options.add_argument("--everything", action="store_true", help="every signal of each run")
    chosen = options.parse_args()
    ratios: defaultdict[str, list[float]] = defaultdict(list)
    memory: defaultdict[str, list[float]] = defaultdict(list)
    load = Load(chosen.jobs, chosen.every, burst=not chosen.spread)
    for number in range(chosen.rounds):
        found = measure_round(load, chosen.seconds, EVERYTHING if chosen.everything else {}, swaps=number % 2 == 1)
        for name, value in found["black hole"].figures.items():
            ratios[name].append(value / found["off"].figures[name])
        for name, each in found.items():
            memory[name].append(each.rss)
        show_round(found)
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    finish(
        throughput=1 / medians["drain"],
        late_p50=medians["late_p50"],
        late_p99=medians["late_p99"],
        cpu=medians["cpu"],
        rss_off=max(memory["off"]),
        rss_black_hole=max(memory["black hole"]),
    )
    sys.exit(max(medians["drain"], medians["late_p50"], medians["late_p99"]) > LIMIT)


def measure_round(load: Load, seconds: int, signals: Mapping[str, str], *, swaps: bool) -> Mapping[str, Observed]:
    """Run both programs at the same time. `swaps`: the other one is first."""
    with tempfile.TemporaryDirectory() as name, target() as url, black_hole() as port, ExitStack() as running:
        variants: dict[str, dict[str, str]] = {"off": {}, "black hole": {**exporters_to(port), **signals}}
        folders = {variant: Path(name) / variant.replace(" ", "-") for variant in variants}
        programs = {}
        for number, variant in enumerate(sorted(variants, reverse=swaps)):
            jobs = shift_schedules(load.definitions(url), load.every * 500 * number if load.burst else 0)
            process, base = running.enter_context(program(folders[variant], jobs, **variants[variant]))
            programs[variant] = process.pid, base
        since = ((time.time() + WARM_UP_S) // load.every + 1) * load.every
        time.sleep(since - time.time() - 0.1)
        before = {variant: cpu_seconds(pid) for variant, (pid, _) in programs.items()}
        time.sleep(seconds + SETTLE_S)
        spent = {variant: cpu_seconds(pid) - before[variant] for variant, (pid, _) in programs.items()}
        memory = {variant: rss_mib(pid) for variant, (pid, _) in programs.items()}
        dropped = {variant: count_dropped(base) for variant, (_, base) in programs.items()}
        found = {}
        for variant in variants:
            rows = asyncio.run(read_runs(folders[variant], since, since + seconds))
            found[variant] = observe(rows, spent[variant], memory[variant], dropped[variant])
        return found


def shift_schedules(jobs: dict[str, Any], offset_ms: int) -> dict[str, Any]:
    """Return the jobs due so many milliseconds later, so that the two programs do not compete for the processor."""
    if not offset_ms:
        return jobs
    return {name: {**job, "schedule": {**job["schedule"], "offset": f"{offset_ms}ms"}} for name, job in jobs.items()}


def count_dropped(base: str) -> int:
    """Return how much telemetry the program has lost, as it reports it."""
    return sum(map(int, re.findall(r"\((\d+) events dropped", json.dumps(get_json(f"{base}/api/status")))))


async def read_runs(folder: Path, since: float, until: float) -> list[Run]:
    """Return the finished runs that were due in this time (Unix seconds)."""
    store = await open_sqlite(folder / "bench.db", StoreAccess.READ_ONLY)
    start, end = (datetime.fromtimestamp(at, UTC) for at in (since, until))
    try:
        return [run for run in await finished_runs(Runs(store)) if start <= run.due_at < end]
    finally:
        await store.aclose()


def observe(rows: Sequence[Run], cpu: float, rss: float, dropped: int) -> Observed:
    """`cpu`: seconds of the whole round."""
    ends: defaultdict[datetime, list[float]] = defaultdict(list)
    for run in rows:
        ends[run.due_at].append((run.finished_at - run.due_at).total_seconds() * 1000)
    return Observed(
        [max(each) for each in ends.values()],
        [run.lateness_ms for run in rows],
        cpu * 1000 / max(1, len(rows)),
        rss,
        dropped,
    )


def show_round(found: Mapping[str, Observed]) -> None:
    show(
        ["telemetry", "runs", "instant done in ms", "late p50 ms", "late p99 ms", "cpu ms a run", "RSS MiB", "dropped"],
        [
            [
                name,
                len(each.late),
                each.figures["drain"],
                each.figures["late_p50"],
                each.figures["late_p99"],
                each.cpu,
                each.rss,
                each.dropped,
            ]
            for name, each in found.items()
        ],
    )
    print()


if __name__ == "__main__":
    main()
