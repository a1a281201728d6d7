"""Seeds of the simulation. A seed that fails is replayed by `./dev bench simulation --seed N`."""

from __future__ import annotations

import pytest

from tests.simulation.simulate import simulate, summary

BLOCK = 20
SEEDS = range(0, 200, BLOCK)


@pytest.mark.slow
@pytest.mark.parametrize("first", SEEDS)
def test_every_due_instant_is_accounted_for_once_through_any_crash(first: int) -> None:
    results = [simulate(seed) for seed in range(first, first + BLOCK)]

    found = [f"seed {result.seed}: {sentence}" for result in results for sentence in result.violations]
    assert found == []
    # Troubles that never happen prove nothing.
    total = summary(results)
    assert min(total[name] for name in ("kills", "executed_again", "redelivered", "left_out", "dead_lettered")) > 0


@pytest.mark.slow
def test_an_embedded_process_that_is_killed_runs_and_records_nothing_twice() -> None:
    results = [simulate(seed, embedded=True) for seed in range(30)]

    assert [sentence for result in results for sentence in result.doubled] == []
    assert summary(results)["kills"] > 0


def test_a_seed_replayed_gives_the_same_result() -> None:
    assert simulate(3, jobs=10, hours=1) == simulate(3, jobs=10, hours=1)
