"""I-Regexp (RFC 9485): what is one, and what it finds."""

from __future__ import annotations

import re

import iregexp_check
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.expectations.engines.jsonpath import InvalidIRegexp, literal_patterns, select_values, translate_iregexp
from jobs.problems import validation_problems
from tests.jobs.expectations.helpers import ENTRIES, entries

VALID = [
    "",
    "()",
    "a|",
    "a{9}",
    "a{10}",
    "[0-9]{10}",
    "a{10,}",
    "a{10,200}",
    "(a|b)*c+d?",
    "^a$",
    r"\.\*\(\)\[\]\\\^\{\|\}\n\r\t\-",
    "[-a]",
    "[a-]",
    "[^-]",
    "[a^]",
    "[^^]",
    r"[\]\[]",
    "[a&&b]",
    r"[\p{L}0-9_]",
    r"\p{Lu}\P{Nd}",
    "é😀",
]
REFUSED = [
    ("*a", "write \\* for the character itself"),
    ("a**", "'*' at character 3"),
    ("a*?", "'?' at character 3"),
    ("a++", "'+' at character 3"),
    ("a{,3}", "'{' at character 2"),
    ("a{1", "'{' at character 2"),
    ("(?:a)", "write a group as (...)"),
    ("(a", "a group is not closed: add )"),
    ("a)", "')' at character 2"),
    ("]", "write \\] for the character itself"),
    (r"\d{10}", "write [0-9]"),
    (r"\w", "write [A-Za-z0-9_]"),
    (r"\p{Lx}", "RFC 9485 does not support it"),
    (r"\/", "RFC 9485 does not support it"),
    ("[]", "in a set, escape"),
    ("[^]", "in a set, escape"),
    (r"[\d]", "in a set, escape"),
    ("[a-b-c]", "in a set, escape"),
    ("\ud800", "RFC 9485 does not support it"),
]


@pytest.mark.parametrize("pattern", VALID)
def test_what_the_grammar_has_is_accepted(pattern: str) -> None:
    regex.compile(translate_iregexp(pattern), regex.VERSION1)


@pytest.mark.parametrize(("pattern", "message"), REFUSED)
def test_what_the_grammar_does_not_have_is_refused_with_what_to_write(pattern: str, message: str) -> None:
    with pytest.raises(InvalidIRegexp) as refused:
        translate_iregexp(pattern)
    assert message in str(refused.value)


def _is_iregexp(pattern: str) -> bool:
    try:
        translate_iregexp(pattern)
    except InvalidIRegexp:
        return False
    return True


@pytest.mark.property
@given(st.lists(st.sampled_from([*"ab0-^$.|()[]*+?,{}\\pnd&~", "{2}", "{1,3}", r"\p{L}", r"\.", "[a-z]"])).map("".join))
def test_it_agrees_with_the_other_checker_but_for_its_mistake_in_counts(pattern: str) -> None:
    if not re.search(r"\{\d{2}|\{\d*,\d{2}|\{\d+,\d*\{", pattern):
        assert _is_iregexp(pattern) == iregexp_check.check(pattern)


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        ("[0-9]{10}", "0123456789", "123"),
        ("a{10,12}", "a" * 11, "a" * 13),
        ("[a&&b]+", "a&b", "c"),
        ("[+||-]+", "|+", "-x"),
        ("a.c", "a\u2028c", "a\nc"),
        ("[.]", ".", "a"),
    ],
)
def test_a_pattern_matches_as_the_standard_reports(pattern: str, found: str, not_found: str) -> None:
    assert select_values(f"$[?match(@, '{pattern}')]", [found, not_found]) == [found]


@pytest.mark.parametrize(
    ("query", "patterns"),
    [
        (r"""$[?match(@.id, '[0-9]{10}') && search(@['match('], "a\\d")]""", ["[0-9]{10}", r"a\d"]),
        (r"""$[?match(value(@..a), 'it\'s "q" \\.')]""", ['it\'s "q" \\.']),
        ("$[?search(@.x, $.y)]", []),
        ("$.match", []),
        ("$['match(@, \"(\")']", []),
        ("$[?search ( @ , 'A' )]", ["A"]),
    ],
)
def test_the_patterns_of_a_query_are_found(query: str, patterns: list[str]) -> None:
    assert list(literal_patterns(query)) == patterns


@pytest.mark.parametrize(
    ("pattern", "message"), [(r"\\d+", "write [0-9]"), ("(", "a group is not closed"), ("[z-a]", "bad character range")]
)
def test_a_query_with_a_pattern_that_would_match_nothing_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        entries({"json": f"$[?match(@.id, '{pattern}')]", "exists": True})
    (problem,) = validation_problems(caught.value, ENTRIES._type)
    assert "is not an I-Regexp (RFC 9485)" in str(problem)
    assert message in str(problem)
