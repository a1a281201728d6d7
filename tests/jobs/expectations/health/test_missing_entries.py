"""Entries that vanish, as messages name them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.expectations.health.document import EntryRules, list_missing
from jobs.runs.details import EntryStatus
from tests.jobs.runs.test_health_history import DEGRADED, DOWN, NOON, UP, after, ended

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ({"mail": UP, "orders": DOWN}, "orders (was down), mail"),
        ({f"q{number}": UP for number in range(8)}, "q0, q1, q2, q3, q4, and 3 more"),
        ({}, ""),
    ],
)
def test_the_worst_are_named_first_and_the_others_are_counted(before: dict[str, EntryStatus], text: str) -> None:
    history = after(ended(0, stays=UP, **before), ended(1, stays=DEGRADED))
    assert list_missing(history, NOON + MINUTE, EntryRules()) == text


def test_entries_that_are_missing_for_longer_are_not_named() -> None:
    history = after(ended(0, a=UP, b=UP), ended(1, b=UP), ended(2))
    assert list_missing(history, NOON + 2 * MINUTE, EntryRules()) == "b"


def test_ignored_and_required_entries_are_not_named() -> None:
    names = {"test-1": DOWN, "db/primary": UP, "mq": UP}
    rules = EntryRules(ignore=("test-*",), require=("db",))
    assert list_missing(after(ended(0, **names), ended(1)), NOON, rules) == "mq"
