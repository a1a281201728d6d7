"""JSONPath queries keep to their time, whoever wrote the document, and select what the RFC says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.expectations.engines.jsonpath import SELECT_SECONDS, select_values
from jobs.expectations.engines.regular_expressions import LimitExceeded
from tests.parts.timing import computes_below

ENDLESS = "a" * 40 + "!"


@pytest.mark.parametrize(
    ("query", "document", "found"),
    [
        ("$[?match(@.a, 'a.c')].a", [{"a": "abc"}, {"a": "a\nc"}, {"a": "xabc"}, {"a": 1}, {}], ["abc"]),
        ("$[?search(@, 'b.')]", ["abc", "ab", "b\u2028"], ["abc", "b\u2028"]),
        ("$[?search(@, 'b[.]')]", ["abc", "ab."], ["ab."]),
        (r"$[?search(@, 'b\\.')]", ["abc", "ab."], ["ab."]),
        (r"$[?search(@, 'a[\\].]c.')]", ["a]c", "a.cd", "abcd"], ["a.cd"]),
        ("$.names[?match(@, $.pattern)]", {"names": ["ab", "b"], "pattern": "a.*"}, ["ab"]),
        ("$[?search(@, '(')]", ["(", "a"], []),
        (r"$[?search(@, '\\d')]", ["1", "d"], []),  # no I-Regexp
        ("$[?search(@, @)]", [1, None, ["a"], "b"], ["b"]),
        ("$[?match(@, '\\\\p{Lu}.')]", ["Ab", "ab"], ["Ab"]),
        ("$..a", {"a": [{"a": 1}], "b": {"a": 2}}, [[{"a": 1}], 1, 2]),
        ("$.a[1:]", {"a": [1, [2], {"b": 3}]}, [[2], {"b": 3}]),
        ("$.a[-1:][0]", {"a": [1, [2, 3]]}, [2]),
        ("$[?@.a == $[0].a]", [{"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, {"a": [1]}], [{"a": [1, {"b": 2}]}] * 2),
        ("$[?@.a != $[0].a].a", [{"a": {"b": 1}}, {"a": {"b": 2}}], [{"b": 2}]),
        ("$[?count(@.*) == 2]", [{"a": 1, "b": 2}, [1, 2], [1]], [{"a": 1, "b": 2}, [1, 2]]),
        ("$[?length(@) == 2]", [{"a": 1, "b": 2}, [1, 2], "ab", [1]], [{"a": 1, "b": 2}, [1, 2], "ab"]),
        ("$[?value(@..a) == 'up']", [{"b": [{"a": "up"}]}, {"a": "down"}], [{"b": [{"a": "up"}]}]),
    ],
)
def test_what_is_selected(query: str, document: Any, found: list[Any]) -> None:
    assert select_values(query, document) == found


def test_selected_values_are_those_of_the_document() -> None:
    found = select_values("$..*", {"a": [{"b": 1}]})

    assert [type(value) for value in found] == [list, dict, int]
    assert json.dumps(found) == '[[{"b": 1}], {"b": 1}, 1]'


def deep(width: int, depth: int) -> Any:
    document: Any = [[]] * width
    for _ in range(depth):
        document = [document, []]
    return document


@pytest.mark.parametrize(
    ("query", "document", "reason"),
    [
        ("$[?search(@, '^(a|aa)+$')]", [ENDLESS], "a pattern in it takes too long"),
        ("$[?match(@, '(a|aa)+')]", [ENDLESS] * 1000, "a pattern in it takes too long"),
        ("$.names[?match(@, $.pattern)]", {"names": [ENDLESS], "pattern": "(a|aa)+"}, "a pattern in it takes too long"),
        ("$.names[?match(@, $.pattern)]", {"names": ["b"], "pattern": "a" * 1001}, "more than 1000 characters"),
        ("$.names[?search(@, $.pattern)]", {"names": ["b"], "pattern": "(" * 490 + "a" + ")" * 490}, "too deeply"),
        ("$[?$..a]", [{}] * 100_000, "it takes too long"),
        ("$[?count($[0:]) == 1]", [[]] * 100_000, "it takes too long"),
        ("$..[?@..a]", deep(5_000, 80), "it takes too long"),
        ("$..[?@.a == 1]", [[]] * 300_000, "it takes too long"),
        ("$.c[?$.a == $.b]", {"a": [0] * 100_000, "b": [0] * 100_000, "c": [0] * 10_000}, "it takes too long"),
        ("$..[0,0,0,0]..[0,0,0,0]..[0,0,0,0]..[7]", deep(1, 60), "it takes too long"),
    ],
)
def test_no_query_and_no_document_takes_longer_than_a_moment(query: str, document: Any, reason: str) -> None:
    # What is between two looks at the clock comes on top.
    with computes_below(6 * SELECT_SECONDS), pytest.raises(LimitExceeded, match=reason):
        select_values(query, document)


def test_one_selection_takes_nothing_from_the_time_of_the_next() -> None:
    with pytest.raises(LimitExceeded):
        select_values("$[?search(@, '^(a|aa)+$')]", [ENDLESS])

    assert select_values("$[?search(@, '^(a|aa)+$')]", ["aaa"]) == ["aaa"]
