"""Due instants that are lost or doubled while instances are killed, in virtual time: seeds, jobs and hours as you like.

Prints each violation with its seed; `--seed N` with the same jobs and hours replays it. Long ones, such as
`--jobs 10000 --days 1`, judge and forget as they go on. How far it is goes to standard error.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench._parts import finish, rss_mib, show
from tests.simulation.simulate import FIGURES, Progress, Result, simulate, summary

SHOWN = 20
"""Violations of one seed that are printed."""
SAID_EVERY = 5.0
"""Seconds between two lines that say how far it is."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seed", type=int, default=0, help="the first seed")
    options.add_argument("--seeds", type=int, default=1, help="how many, one after the other")
    options.add_argument("--jobs", type=int, default=50)
    options.add_argument("--hours", type=float, default=6.0)
    options.add_argument("--days", type=float, help="instead of hours")
    options.add_argument(
        "--embedded", action="store_true", help="one process and its store, instead of the Functions host"
    )
    chosen = options.parse_args()
    started = time.perf_counter()
    hours = chosen.hours if chosen.days is None else chosen.days * 24
    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    results = [
        simulate(seed, chosen.jobs, hours, embedded=chosen.embedded, progress=_Said(seed, hours)) for seed in seeds
    ]
    show(("seed", *FIGURES, "violations"), [_row(result) for result in results])
    for result in results:
        for sentence in result.violations[:SHOWN]:
            print(f"seed {result.seed}: {sentence}")
    total = summary(results)
    finish(**total, seconds=time.perf_counter() - started, rss_mib=rss_mib("self"))
    sys.exit(1 if total["violations"] else 0)


class _Said:
    """Says every few seconds how far a seed is."""

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
