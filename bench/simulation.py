"""Due instants that are lost or doubled while instances are killed, in virtual time: seeds, jobs and hours as you like.

Without options it runs the whole, some ten minutes on two cores: 200 seeds of the Functions host and 30 of the embedded
one. `./dev test` runs the first of each. Prints each violation with its seed; `--seed N` with the same jobs and hours
replays it. Long ones, such as `--seed 1 --jobs 10000 --days 1`, judge and forget while they run. Progress goes to
standard error.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from bench._parts import finish, rss_mib, show
from tests.simulation.many import EMBEDDED_SEEDS, SEEDS, simulate_many
from tests.simulation.simulate import FIGURES, Progress, Result, simulate, summary

SHOWN = 20
"""Violations of one seed that are printed."""
SAID_EVERY = 5.0
"""Seconds between two lines that say how far it is."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seed", type=int, help="the first seed; alone: this one and no other")
    options.add_argument("--seeds", type=int, help="how many")
    options.add_argument("--jobs", type=int, default=50)
    options.add_argument("--hours", type=float, default=6.0)
    options.add_argument("--days", type=float, help="instead of hours")
    options.add_argument("--embedded", action="store_true", help="only the embedded host")
    options.add_argument("--frozen", type=float, default=0.0, help="share of requests before which a process freezes")
    options.add_argument("--lost", type=float, default=0.0, help="share of runs whose other process ends (embedded)")
    chosen = options.parse_args()
    whole = chosen.seed is None and chosen.seeds is None
    hours = chosen.hours if chosen.days is None else chosen.days * 24
    started = time.perf_counter()
    results: list[Result] = []
    for embedded in (True,) if chosen.embedded else (False, True) if whole else (False,):
        default = (EMBEDDED_SEEDS if embedded else SEEDS) if whole else 1
        first = chosen.seed or 0
        seeds = range(first, first + (chosen.seeds or default))
        found = _simulated(seeds, hours, chosen, embedded)
        _print(found, "embedded" if embedded else "functions")
        results += found
    total = summary(results)
    finish(**total, seconds=time.perf_counter() - started, rss_mib=rss_mib("self"))
    sys.exit(1 if total["violations"] else 0)


def _simulated(seeds: Sequence[int], hours: float, chosen: argparse.Namespace, embedded: bool) -> list[Result]:
    """One seed here, with its progress; several on all cores."""
    jobs = chosen.jobs
    troubles = {"frozen": chosen.frozen, "lost": chosen.lost}
    if len(seeds) == 1:
        said = _Said(seeds[0], hours)
        return [simulate(seeds[0], jobs, hours, embedded=embedded, progress=said, **troubles)]
    results = []
    for result in simulate_many(seeds, jobs=jobs, hours=hours, embedded=embedded, **troubles):
        results.append(result)
        print(f"{len(results)} of {len(seeds)} seeds", file=sys.stderr, end="\r", flush=True)
    return results


def _print(results: Sequence[Result], host: str) -> None:
    print(f"host: {host}")
    show(("seed", *FIGURES, "violations"), [_row(result) for result in results])
    for result in results:
        for sentence in result.violations[:SHOWN]:
            print(f"seed {result.seed}: {sentence}")


class _Said:
    """Reports every few seconds how far a seed is."""

    def __init__(self, seed: int, hours: float) -> None:
        self._seed = seed
        self._hours = hours
        self._started = self._last = time.perf_counter()

    def __call__(self, progress: Progress) -> None:
        now = time.perf_counter()
        if now - self._last < SAID_EVERY:
            return
        self._last = now
        print(
            f"seed {self._seed}: {progress.hours:.1f} of {self._hours:g} h in {now - self._started:.0f} s, "
            f"{progress.runs} runs judged, {progress.violations} violations, {rss_mib('self'):.0f} MiB",
            file=sys.stderr,
            flush=True,
        )


def _row(result: Result) -> tuple[object, ...]:
    return (result.seed, *(getattr(result, name) for name in FIGURES), len(result.violations))


if __name__ == "__main__":
    main()
