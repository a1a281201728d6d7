"""Quantiles of histograms against those of the sorted values, and merging in any order."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs.histogram import MAX_BUCKET, MAX_RELATIVE_ERROR, Histogram

DURATIONS = st.lists(st.floats(min_value=0.001, max_value=1e9), min_size=1, max_size=200)


def histogram(values: list[float]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


def merged(*parts: Histogram) -> Histogram:
    made = Histogram()
    for part in parts:
        made.merge(part)
    return made


@given(DURATIONS, st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_off_by_no_more_than_the_bound(values: list[float], share: float) -> None:
    exact = sorted(values)[max(1, ceil(share * len(values))) - 1]
    assert histogram(values).quantile(share) == pytest.approx(exact, rel=MAX_RELATIVE_ERROR + 1e-9)


def test_the_bound_is_five_percent() -> None:
    assert MAX_RELATIVE_ERROR <= 0.05


@given(DURATIONS, DURATIONS, DURATIONS)
def test_merging_is_associative_and_commutative_and_loses_nothing(
    one: list[float], two: list[float], three: list[float]
) -> None:
    a, b, c = histogram(one), histogram(two), histogram(three)
    assert merged(merged(a, b), c) == merged(a, merged(b, c)) == merged(c, b, a) == histogram([*three, *one, *two])
    assert merged(a, b, c).total == len(one) + len(two) + len(three)


@given(DURATIONS)
def test_the_stored_form_is_read_with_the_same_counts(values: list[float]) -> None:
    made = histogram(values)
    _, *counts = made.encode()
    assert (sum(counts), 0 in (counts[0], counts[-1])) == (len(values), False)
    assert Histogram.decode(made.encode()) == made
    assert Histogram.decode(made.counts) == made


@given(st.floats(min_value=-1e9, max_value=0.0009))
def test_what_is_shorter_than_a_microsecond_counts_as_nothing(value: float) -> None:
    assert histogram([value]).quantile(0.5) == 0.0


def test_however_long_a_duration_is_it_is_counted() -> None:
    assert histogram([1e300]).counts == {str(MAX_BUCKET): 1}


def test_without_a_value_there_is_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram.decode(Histogram().encode()) == Histogram.decode({}) == Histogram()
