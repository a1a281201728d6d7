"""Some seeds of the simulation; `./dev bench simulation` runs all. One that fails is replayed by its `--seed N`."""

from __future__ import annotations

import pytest

from tests.simulation.many import simulate_many
from tests.simulation.simulate import simulate, summary

# Four seconds of CPU a seed, on a machine that has other work as well.
pytestmark = pytest.mark.timeout(500)

SEEDS = 10
EMBEDDED_SEEDS = 2
EMBEDDED_FROZEN_SEEDS = (1, 9, 16)
"""Killed between the record of missed instants and its publication, or before it."""
FROZEN_SEEDS = 4
KILLED_SEEDS = (0, 3)
"""With many kills."""
BLOCK = 5
EMBEDDED_LOST_SEEDS = range(2)
LOST = 0.05
"""Share of the runs whose attempts end with their process."""
FROZEN = 0.02
"""Share of the requests before which a process freezes."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_every_due_instant_is_accounted_for_once_through_any_crash(first: int) -> None:
    results = list(simulate_many(range(first, first + BLOCK)))

    found = [f"seed {result.seed}: {sentence}" for result in results for sentence in result.violations]
    assert found == []
    # Troubles that never happen prove nothing.
    total = summary(results)
    assert min(total[name] for name in ("kills", "executed_again", "redelivered", "left_out", "dead_lettered")) > 0


@pytest.mark.slow
def test_an_embedded_process_that_is_killed_loses_and_doubles_nothing() -> None:
    results = list(simulate_many(range(EMBEDDED_SEEDS), embedded=True))

    assert [f"seed {result.seed}: {sentence}" for result in results for sentence in result.violations] == []
    total = summary(results)
    assert min(total[name] for name in ("kills", "executed_again", "left_out")) > 0


@pytest.mark.slow
def test_runs_whose_attempts_are_lost_with_another_process_are_neither_lost_nor_doubled() -> None:
    results = list(simulate_many(EMBEDDED_LOST_SEEDS, hours=3.0, embedded=True, lost=LOST))

    assert [f"seed {result.seed}: {sentence}" for result in results for sentence in result.violations] == []
    total = summary(results)
    assert min(total[name] for name in ("kills", "lost", "executed_again", "left_out")) > 0


@pytest.mark.slow
def test_an_embedded_process_that_freezes_and_is_killed_accounts_for_what_it_missed() -> None:
    results = list(simulate_many(EMBEDDED_FROZEN_SEEDS, embedded=True, frozen=FROZEN))

    assert [f"seed {result.seed}: {sentence}" for result in results for sentence in result.violations] == []
    total = summary(results)
    assert min(total[name] for name in ("kills", "freezes", "refused", "left_out")) > 0


@pytest.mark.slow
def test_sixty_kills_leave_dead_letters_of_exactly_the_runs_that_failed() -> None:
    """The sweep of the embedded host is slower than the leases: see tests.simulation.embedded."""
    results = list(simulate_many(KILLED_SEEDS, jobs=120, hours=2.5, embedded=True))

    assert [f"seed {result.seed}: {sentence}" for result in results for sentence in result.violations] == []
    total = summary(results)
    assert total["kills"] >= 60
    assert total["letters"] > 50


@pytest.mark.slow
def test_a_process_that_freezes_for_longer_than_its_leases_sends_no_request_of_another_owner() -> None:
    results = list(simulate_many(range(FROZEN_SEEDS), hours=2.0, frozen=FROZEN))

    assert [f"seed {result.seed}: {sentence}" for result in results for sentence in result.violations] == []
    total = summary(results)
    assert min(total[name] for name in ("kills", "freezes", "refused", "executed_again")) > 0


def test_a_seed_replayed_gives_the_same_result() -> None:
    assert simulate(3, jobs=10, hours=1) == simulate(3, jobs=10, hours=1)


def test_a_long_one_is_judged_and_forgotten_as_it_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.simulate.MANY_JOBS", 10)
    judged = []

    result = simulate(2, jobs=20, hours=5, progress=lambda progress: judged.append(progress.runs))

    assert result.violations == ()
    assert 0 < judged[-1] < result.runs
