from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.expectations.entries.status import format_statuses, parse_statuses
from tests.jobs.expectations.helpers import answer, failure, failures

_RANGES = st.tuples(st.integers(100, 599), st.integers(100, 599)).map(lambda pair: (min(pair), max(pair)))


@pytest.mark.parametrize(
    ("written", "ranges"),
    [
        (200, ((200, 200),)),
        ("200", ((200, 200),)),
        ("200-299", ((200, 299),)),
        ("200 - 299", ((200, 299),)),
        ("2xx", ((200, 299),)),
        ("5XX", ((500, 599),)),
        ("200-204, 301", ((200, 204), (301, 301))),
        ([200, "3xx", "404,410"], ((200, 200), (300, 399), (404, 404), (410, 410))),
    ],
)
def test_statuses_are_read_as_people_write_them(written: Any, ranges: Any) -> None:
    assert parse_statuses(written) == ranges


@given(st.lists(_RANGES, min_size=1, max_size=5).map(tuple))
def test_written_statuses_are_read_back_the_same(ranges: tuple[tuple[int, int], ...]) -> None:
    assert parse_statuses(format_statuses(ranges)) == ranges


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (99, "is not a status"),
        (600, "out of range: 100 to 599"),
        ("200-600", "out of range: 100 to 599"),
        ("299-200", "write 200-299"),
        ("301,200-299-400", "'200-299-400' is not a status"),
        ("ok", "write it like 200"),
        ("", "is not a status"),
        ("200,", "is not a status"),
        ("6xx", "is not a status"),
        ("\uff12\uff10\uff10", "is not a status"),
        (True, "a number or a text"),
        (200.5, "a number or a text"),
        (None, "a number or a text"),
        ({}, "a number or a text"),
        ([], "has no status"),
        ([[200]], "a number or a text"),
    ],
)
def test_what_is_no_status_is_refused_with_a_remedy(written: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_statuses(written)


def test_without_a_status_entry_a_2xx_is_expected() -> None:
    assert str(failure(answer(status=301), {"max_body": "1KiB"})) == "status: expected 2xx, observed 301"


def test_a_status_entry_replaces_the_expectation_of_a_2xx() -> None:
    assert failures(answer(status=404), {"status": 404}) == ()
    assert failure(answer(status=200), {"status": "404,500-599"}).expected == "404,500-599"
