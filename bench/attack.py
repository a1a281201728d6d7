"""Does an attack harm others? Attacks on the program while it executes 20 healthy runs each second.

    ./dev bench attack                    # all of them, one after the other
    ./dev bench attack NAME [NAME ...]    # these
    ./dev bench attack --azure [NAME ...] # jobs and targets against two Functions-style workers on Azurite
    ./dev bench attack --list

For each: healthy runs that were due, those that have no finished run or did not succeed (`lost`), milliseconds of
lateness at the 50th and 99th percentile, memory of the program and its child processes in MiB, and how often
/api/health/ready answered another status than 200. A line below names the problem. Exits with 1 after any. The last
line is JSON. On a busy machine compare with `baseline`, and give `--slack 5` to allow five times the lateness; from
`--slack 10` on, runs may be skipped while the previous one, a second before, is still running.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import math
import pkgutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

from bench import _attacks
from bench._attacks.functions import FunctionsProcesses, can_run_on_functions, functions_processes
from bench._attacks.harness import Attack, Scene, Scheduler
from bench._attacks.watch import Watch
from bench._lateness import Figures, Load, figures
from bench._parts import get_json, percentile, show, target
from jobs.runs import Run
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Runs

HEALTHY = {Scheduler: Load(count=20, every=1, burst=False), FunctionsProcesses: Load(count=200, every=10, burst=False)}
"""Named late-00000 and so on: 20 runs each second, spread over it."""
SETTLED_AFTER = {Scheduler: 3.0, FunctionsProcesses: 10.0}
"""Seconds after the last due instant, for its run to end and to be recorded: up to 3 s later on Azure."""
LED_BY = {Scheduler: 2, FunctionsProcesses: 0}
"""Seconds of healthy runs before the attack begins."""
FIRST_RUN_WITHIN = 150.0
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Line:
    """What the table shows of one attack."""

    attack: str
    due: int
    lost: int
    p50_ms: float | None
    p99_ms: float | None
    memory_mib: float
    not_ready: str


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("names", nargs="*", metavar="NAME", help="attacks (default: all)")
    options.add_argument("--list", action="store_true", help="say what attacks there are")
    options.add_argument("--slack", type=float, default=1.0, help="allow so many times the lateness")
    options.add_argument("--azure", action="store_true", help="two Functions-style workers and a ticker on Azurite")
    chosen = options.parse_args()
    attacks = {attack.name: attack for attack in _found() if not chosen.azure or can_run_on_functions(attack)}
    if chosen.list:
        for name, attack in attacks.items():
            print(f"  {name:<22}{attack.about}")
        return
    if unknown := [name for name in chosen.names if name not in attacks]:
        options.error(
            f"no attack is named {', '.join(unknown)} (with --azure: of jobs and targets alone); --list shows all"
        )
    lines, wrong = [], {}
    for name in chosen.names or attacks:
        print(f"{name}: {attacks[name].about}", file=sys.stderr)
        line, problems = _run(attacks[name], chosen.slack, functions_processes if chosen.azure else embedded_process)
        lines.append(line)
        if problems:
            wrong[name] = problems
    show([*Line.__dataclass_fields__], [[*asdict(line).values()] for line in lines])
    for name, problems in wrong.items():
        print(*(f"{name}: {problem}" for problem in problems), sep="\n")
    print(json.dumps([asdict(line) for line in lines]))
    sys.exit(1 if wrong else 0)


def _found() -> Iterator[Attack]:
    for module in sorted(pkgutil.iter_modules(_attacks.__path__), key=lambda found: found.name):
        yield from getattr(importlib.import_module(f"bench._attacks.{module.name}"), "ATTACKS", ())


Host = Callable[[Path, Mapping[str, str]], AbstractContextManager[Scheduler | FunctionsProcesses]]


@contextmanager
def embedded_process(
    folder: Path, environ: Mapping[str, str], limits: Callable[[], None] | None = None
) -> Iterator[Scheduler]:
    """The embedded host, not started yet."""
    scheduler = Scheduler(folder, environ, limits)
    try:
        yield scheduler
    finally:
        scheduler.kill()


def _run(attack: Attack, slack: float, host: Host = embedded_process) -> tuple[Line, list[str]]:
    with tempfile.TemporaryDirectory() as name, target() as healthy, attack.server() as hostile:
        folder = Path(name)
        environ = {key: value.format(folder=folder) for key, value in attack.environ.items()}
        limits = type(attack).limits
        with host(folder, environ) if limits is None else embedded_process(folder, environ, limits) as scheduler:
            scheduler.write_jobs(HEALTHY[type(scheduler)].definitions(healthy), "healthy.json")
            scheduler.write_jobs(attack.jobs(hostile), "attack.json")
            if isinstance(scheduler, Scheduler):
                attack.prepare(scheduler)
            return _struck(attack, scheduler, healthy, hostile, slack)


def _struck(
    attack: Attack, scheduler: Scheduler | FunctionsProcesses, healthy: str, hostile: str, slack: float
) -> tuple[Line, list[str]]:
    kind = type(scheduler)
    load, led_by = HEALTHY[kind], LED_BY[kind]
    scheduler.start()
    _await_runs(healthy)
    since = _round(time.time() + 1, load)
    time.sleep(since + led_by - time.time())
    # An attack that does more with the program than its jobs do never meets another one than Scheduler.
    scene = Scene(cast(Scheduler, scheduler), hostile, time.time())
    with Watch(scene) as watch:
        count_from = attack.strike(scene)
        until = _round(max(time.time(), since + led_by + attack.seconds), load)
        time.sleep(until - time.time())
    since = since if count_from is None else _round(count_from, load)
    time.sleep(SETTLED_AFTER[kind])
    # An attack queries everything else from the API.
    problems = [*attack.problems(scene)] if isinstance(scheduler, Scheduler) else []
    arrivals = get_json(f"{healthy}/arrivals/runs")
    if not scheduler.stop():
        problems.append("SIGTERM did not end it within 15 s")
    runs = asyncio.run(_healthy_runs(scheduler))
    due = load.due(since, until - since)
    found = _excuse_overlaps(figures(due, runs, arrivals), load, attack.most_late * slack)
    line = _line(attack, len(due), found, watch, scene)
    problems += _judged(attack, line, found, slack)
    if problems:
        print(scheduler.last_lines(), file=sys.stderr)
    return line, problems


def _excuse_overlaps(found: Figures, load: Load, most_late: float) -> Figures:
    """Omit the runs that were skipped because the previous one was still running, if that may be an interval late.

    `most_late`: milliseconds.
    """
    if most_late < load.every * 1000:
        return found
    others = {why: count for why, count in found.unsuccessful.items() if not why.endswith("(overlap: skip)")}
    return replace(found, unsuccessful=others)


def _await_runs(healthy: str) -> None:
    """Wait for the first healthy run: the first tick of the Functions host is up to two minutes away."""
    end = time.monotonic() + FIRST_RUN_WITHIN
    while not get_json(f"{healthy}/arrivals/runs"):
        if time.monotonic() > end:
            sys.exit(f"no healthy job has run within {FIRST_RUN_WITHIN:g} s")
        time.sleep(0.2)


def _round(instant: float, load: Load) -> int:
    """Return the next multiple of the load's interval, in Unix seconds."""
    return math.ceil(instant / load.every) * load.every


async def _healthy_runs(scheduler: Scheduler | FunctionsProcesses) -> list[Run]:
    try:
        store = await scheduler.open_store()
    except StoreError as error:
        print(f"the history cannot be read: {error}", file=sys.stderr)
        return []
    runs, found = Runs(store), []
    try:
        for job in HEALTHY[type(scheduler)].definitions(""):
            continuation = None
            while True:
                page = await runs.list_page(job, limit=_PAGE, continuation=continuation)
                found += [record.run for record in page.records if record.run is not None]
                continuation = page.continuation
                if continuation is None:
                    break
    finally:
        await store.aclose()
    return found


def _line(attack: Attack, due: int, found: Figures, watch: Watch, scene: Scene) -> Line:
    others = Counter(status for _, status in scene.ready if status != 200)
    return Line(
        attack=attack.name,
        due=due,
        lost=found.missing + sum(found.unsuccessful.values()),
        p50_ms=percentile(found.recorded, 0.5) if found.recorded else None,
        p99_ms=percentile(found.recorded, 0.99) if found.recorded else None,
        memory_mib=round(watch.most_memory),
        not_ready=", ".join(f"{count} x {status or 'no answer'}" for status, count in others.items()) or "-",
    )


def _judged(attack: Attack, line: Line, found: Figures, slack: float) -> Iterator[str]:
    if found.missing:
        yield f"{found.missing} healthy runs are not in history"
    for reason, count in found.unsuccessful.items():
        yield f"{count} healthy runs {reason}"
    if found.doubled_rows or found.doubled_arrivals:
        yield f"{found.doubled_rows} instants have two runs, {found.doubled_arrivals} runs sent two requests"
    if line.p99_ms is not None and line.p99_ms > attack.most_late * slack:
        yield f"lateness is {line.p99_ms:.0f} ms at p99, expected at most {attack.most_late * slack:.0f}"
    if line.memory_mib > attack.most_memory:
        yield f"memory reached {line.memory_mib:.0f} MiB, expected at most {attack.most_memory}"
    if attack.always_ready and line.not_ready != "-":
        yield f"/api/health/ready was to answer 200 throughout: {line.not_ready}"


if __name__ == "__main__":
    main()
