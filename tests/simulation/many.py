"""Runs many seeds on all cores. Called by the tests and by `./dev bench simulation`."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.simulate import Result, simulate

SEEDS = 200
"""Seeds of the whole, on the Functions host."""
EMBEDDED_SEEDS = 30
"""Seeds of the whole, on the embedded host."""


def simulate_many(
    seeds: Iterable[int],
    *,
    jobs: int = 50,
    hours: float = 6.0,
    embedded: bool = False,
    frozen: float = 0.0,
    lost: float = 0.0,
) -> Iterator[Result]:
    """Simulate the seeds in processes; the results come in the order of the seeds."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, _collect_garbage_seldom) as pool:
        options = {"jobs": jobs, "hours": hours, "embedded": embedded, "frozen": frozen, "lost": lost}
        yield from pool.map(partial(simulate, **options), seeds)


def _collect_garbage_seldom() -> None:
    """Looking for it costs a tenth of a simulation, which needs a hundred megabytes without."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
