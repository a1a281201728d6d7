"""How many bad samples open an alert."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerting.facts import MAX_WINDOW, Threshold, parse_threshold


@pytest.mark.parametrize(
    ("text", "count", "window"), [(3, 3, 3), ("3", 3, 3), ("3 of 5", 3, 5), (" 1 of 100 ", 1, 100), ("5 of 5", 5, 5)]
)
def test_a_threshold_is_a_number_or_a_part_of_a_number(text: object, count: int, window: int) -> None:
    assert parse_threshold(text) == Threshold(count, window)


@pytest.mark.parametrize("text", [0, "0", "6 of 5", "1 of 101", 101, True, None, 2.5, "3/5", "three", "3 of", [3, 5]])
def test_any_other_value_is_rejected_with_the_form(text: object) -> None:
    with pytest.raises(ValueError, match=r"3 of 5|1 to 100"):
        parse_threshold(text)


@given(st.lists(st.booleans(), max_size=MAX_WINDOW), st.integers(1, 10), st.integers(0, 10))
def test_it_is_reached_by_as_many_of_the_last_samples(bad: list[bool], count: int, more: int) -> None:
    threshold = Threshold(count, count + more)
    bits = sum(1 << place for place, is_bad in enumerate(reversed(bad)) if is_bad)
    assert threshold.is_reached(bits) == (sum(bad[-threshold.window :]) >= count)


@given(st.integers(1, 100), st.integers(0, 100))
def test_its_text_is_read_back(count: int, more: int) -> None:
    threshold = Threshold(count, min(count + more, MAX_WINDOW))
    assert parse_threshold(str(threshold)) == threshold
