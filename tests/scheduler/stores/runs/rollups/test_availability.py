"""Uptime samples that one or several processes observe, against the samples themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs.uptime import UptimeMark, UptimeSample, UptimeSegment
from scheduler.stores.runs.rollups.tally import MAX_INTERVALS, Availability, unite
from tests.scheduler.stores.samples import at

MARKS = st.lists(st.sampled_from(["up", "down", "maintenance"]), min_size=1, max_size=300)


def observed(samples: list[tuple[float, UptimeMark]]) -> Availability:
    (seconds, mark), *rest = samples
    found = Availability.begin(at(seconds), UptimeSample(mark, 1.5))
    for later, another in rest:
        found.add(at(later), UptimeSample(another, 1.5))
    return found


def exact(samples: list[tuple[float, UptimeMark]]) -> UptimeSegment:
    return UptimeSegment.from_samples([(at(seconds), UptimeSample(mark, 1.5)) for seconds, mark in samples])


@given(MARKS)
def test_what_one_process_observes_in_order_is_exact(marks: list[UptimeMark]) -> None:
    samples = [(float(second), mark) for second, mark in enumerate(marks)]
    assert unite([observed(samples)]) == exact(samples)
    assert len(observed(samples).downs) <= MAX_INTERVALS


@given(MARKS)
def test_the_newest_first_is_as_exact(marks: list[UptimeMark]) -> None:
    samples = [(float(second), mark) for second, mark in enumerate(marks)]
    assert unite([observed(samples[::-1])]) == exact(samples)


@given(MARKS)
def test_the_stored_text_has_all_of_it(marks: list[UptimeMark]) -> None:
    found = observed([(float(second), mark) for second, mark in enumerate(marks)])
    assert Availability.decode(found.encode()) == found


@pytest.mark.parametrize("processes", [2, 3])
@given(
    lengths=st.lists(st.integers(4, 12), min_size=1, max_size=12),
    is_down_first=st.booleans(),
)
def test_an_outage_that_several_processes_observe_in_turn_counts_once(
    processes: int, lengths: list[int], is_down_first: bool
) -> None:
    """Each state lasts so long that every process observes it."""
    marks: list[UptimeMark] = []
    for number, length in enumerate(lengths):
        marks += ["down" if (number % 2 == 0) == is_down_first else "up"] * length
    samples = [(float(second), mark) for second, mark in enumerate(marks)]
    parts = [observed(samples[number::processes]) for number in range(processes)]
    assert unite(parts) == exact(samples)


def test_a_flap_that_one_process_observes_lasts_until_its_next_run() -> None:
    one, two = observed([(0, "up"), (2, "down"), (4, "up")]), observed([(1, "up"), (3, "up"), (5, "up")])
    found = unite([one, two])
    assert (found.seconds, found.outages, found.uptime.down, found.uptime.up) == (2.0, 1, 1, 5)
