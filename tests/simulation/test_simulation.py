"""Seeds of the simulation. A seed that fails is replayed by `./dev bench simulation --seed N`."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest

from tests.simulation.simulate import Result, simulate, summary

# `./dev test` gives them what other tests leave: minutes, on a machine that has other work as well.
pytestmark = pytest.mark.timeout(900)

SEEDS = 200
BLOCK = 20

Seeds = Callable[..., list[Result]]


@pytest.fixture(scope="module")
def simulated() -> Iterator[Seeds]:
    """Simulates seeds on all cores. In processes of their own, which are not slowed down by measuring coverage."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, _collect_garbage_seldom) as pool:
        yield lambda seeds, **options: list(pool.map(partial(simulate, **options), seeds))


def _collect_garbage_seldom() -> None:
    """Looking for it costs a tenth of a simulation, which needs a hundred megabytes without."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_every_due_instant_is_accounted_for_once_through_any_crash(first: int, simulated: Seeds) -> None:
    results = simulated(range(first, first + BLOCK))

    found = [f"seed {result.seed}: {sentence}" for result in results for sentence in result.violations]
    assert found == []
    # Troubles that never happen prove nothing.
    total = summary(results)
    assert min(total[name] for name in ("kills", "executed_again", "redelivered", "left_out", "dead_lettered")) > 0


@pytest.mark.slow
def test_an_embedded_process_that_is_killed_loses_and_doubles_nothing(simulated: Seeds) -> None:
    results = simulated(range(30), embedded=True)

    assert [f"seed {result.seed}: {sentence}" for result in results for sentence in result.violations] == []
    total = summary(results)
    assert min(total[name] for name in ("kills", "executed_again", "left_out")) > 0


def test_a_seed_replayed_gives_the_same_result() -> None:
    assert simulate(3, jobs=10, hours=1) == simulate(3, jobs=10, hours=1)


def test_a_long_one_is_judged_and_forgotten_as_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.simulate.MANY_JOBS", 10)
    judged = []

    result = simulate(2, jobs=20, hours=5, progress=lambda progress: judged.append(progress.runs))

    assert result.violations == ()
    assert 0 < judged[-1] < result.runs
