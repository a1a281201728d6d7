"""Due instants that are lost or doubled while instances are killed, in virtual time: seeds, jobs and hours as you like.

Prints each violation with its seed; `--seed N` with the same jobs and hours replays it.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench._parts import finish, show
from tests.simulation.simulate import FIGURES, Result, simulate, summary

SHOWN = 20
"""Violations of one seed that are printed."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, default=0, help="the first seed")
    options.add_argument("--seeds", type=int, default=1, help="how many, one after the other")
    options.add_argument("--jobs", type=int, default=50)
    options.add_argument("--hours", type=float, default=6.0)
    options.add_argument(
        "--embedded", action="store_true", help="one process and its store, instead of the Functions host"
    )
    chosen = options.parse_args()
    started = time.perf_counter()
    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    results = [simulate(seed, chosen.jobs, chosen.hours, embedded=chosen.embedded) for seed in seeds]
    show(("seed", *FIGURES, "violations"), [_row(result) for result in results])
    for result in results:
        for sentence in result.violations[:SHOWN]:
            print(f"seed {result.seed}: {sentence}")
    total = summary(results)
    finish(**total, seconds=time.perf_counter() - started)
    sys.exit(1 if total["violations"] else 0)


def _row(result: Result) -> tuple[object, ...]:
    return (result.seed, *(getattr(result, name) for name in FIGURES), len(result.violations))


if __name__ == "__main__":
    main()
