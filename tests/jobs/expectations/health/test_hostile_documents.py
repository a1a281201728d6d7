"""Documents of hostile targets: bounded, and never an exception of another class."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.expectations.health.document import (
    MAX_ENTRIES,
    EntryRules,
    NotHealthDocument,
    describe_verdict,
    judge_document,
)
from jobs.expectations.health.formats import HealthFormat, read_document

_KEYS = st.sampled_from(
    ["status", "Status", "components", "details", "checks", "entries", "results", "data", "duration", "output", "name"]
) | st.text(max_size=3)
_WORDS = st.sampled_from(["UP", "DOWN", "Healthy", "Degraded", "Unhealthy", "pass", "warn", "fail", "\x1b[31m", ""])
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(max_size=5)
DOCUMENTS = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=15
)


@settings(max_examples=150)
@given(
    st.dictionaries(_KEYS, DOCUMENTS, max_size=4).map(lambda value: {"status": "DOWN", **value}) | DOCUMENTS,
    st.sampled_from(HealthFormat),
)
def test_any_json_is_read_or_refused(value: Any, expected: HealthFormat) -> None:
    try:
        document = read_document(value, "application/json", expected)
    except NotHealthDocument:
        return
    names = [entry.name for entry in document.entries]
    assert len(set(names)) == len(names) <= MAX_ENTRIES
    verdict = judge_document(document, EntryRules(max_duration_s=1))
    if verdict.effect != "none":
        assert describe_verdict(document, verdict, str)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["a", "a (2)", "b"]), st.sampled_from(["UP", "DOWN"])), max_size=8))
def test_of_entries_with_one_name_none_is_lost(entries: list[tuple[str, str]]) -> None:
    checks = [{"name": name, "status": word} for name, word in entries]
    document = read_document({"status": "UP", "checks": checks}, "", HealthFormat.MICROPROFILE)
    assert [entry.word for entry in document.entries] == [word for _, word in entries]


def test_too_many_entries_are_refused() -> None:
    checks = [{"name": str(number), "status": "UP"} for number in range(MAX_ENTRIES + 1)]
    with pytest.raises(NotHealthDocument, match="more than 1000 entries"):
        read_document({"status": "UP", "checks": checks}, "", HealthFormat.MICROPROFILE)


def test_components_that_are_nested_too_deeply_are_refused() -> None:
    node: dict[str, Any] = {"status": "DOWN"}
    for _ in range(500):
        node = {"status": "DOWN", "components": {"a": node}}
    with pytest.raises(NotHealthDocument, match="nested more than 8 levels"):
        read_document(node, "", HealthFormat.SPRING)
