"""Counts in sentences."""

from __future__ import annotations

from jobs.formats import format_count


def test_a_count_agrees_with_its_noun() -> None:
    assert [format_count(number, "job") for number in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]


def test_a_count_has_the_given_plural() -> None:
    assert [format_count(number, "entry is", "entries are") for number in (1, 3)] == ["1 entry is", "3 entries are"]
