"""Regular expressions over text that is still arriving."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.expectations.engines.regular_expressions import can_still_match, search

PIECES = st.sampled_from(
    [
        "^",
        "$",
        "a",
        "b",
        "é",
        ".",
        "\\d",
        "[ab]",
        "a?",
        "b*",
        "(?:a|bb)+",
        "(?=a)",
        "(?!b)",
        "\\b",
        "\\B",
        "(?!$)",
        "(a)\\1",
        "\n",
        "|",
    ]
)
PATTERNS = st.lists(PIECES, min_size=1, max_size=5).map("".join)
TEXTS = st.text("ab1é\n ", max_size=6)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("^220 ", "22", True),
        ("^220 ", "500", False),
        ("^220 ", "220-mail\r\n", False),
        ("(?m)^220 ", "220-mail\r\n", True),
        ("ready", "anything", True),
        ("(?i)^ssh-2", "SSh", True),
        ("^220 ready$", "220 ready\r\n", False),
        (r"^(?P<code>\d{3}) ", "220-", False),
        (r"\bready", "220 ", True),
        (r"^220(?!\Z)", "220", True),
    ],
)
def test_a_text_can_still_match_if_one_that_continues_may(pattern: str, text: str, expected: bool) -> None:
    assert can_still_match(pattern, text) is expected


@given(pattern=PATTERNS, text=TEXTS, rest=TEXTS)
def test_a_text_that_cannot_match_any_more_has_no_match_however_it_continues(
    pattern: str, text: str, rest: str
) -> None:
    if not search(pattern, text) and not can_still_match(pattern, text):
        assert not search(pattern, text + rest)
