from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.running.circuit import CLOSED, CircuitState, Condition
from jobs.running.circuit_json import from_json, to_json

_TIMES = st.datetimes(timezones=st.just(UTC))
_COUNTS = st.integers(0, 10_000)
_STATES = st.builds(
    CircuitState,
    condition=st.sampled_from(Condition),
    period=_COUNTS,
    since=_TIMES,
    opened_at=_TIMES,
    why=st.text(max_size=50),
    consecutive=_COUNTS,
    calls=_COUNTS,
    failures=st.integers(0, 2**1000 - 1),
    succeeded=_COUNTS,
    leases=st.lists(_TIMES, max_size=4).map(tuple),
)

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = CircuitState(Condition.HALF_OPEN, 2, _NOON, _NOON, "why", leases=(_NOON + timedelta(seconds=30),))


@given(_STATES)
def test_a_state_comes_back_from_json_as_it_was(state: CircuitState) -> None:
    assert from_json(to_json(state)) == state


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_anything_else_reads_as_closed(text: str) -> None:
    assert from_json(text) == CLOSED


def test_nothing_stored_reads_as_closed() -> None:
    assert from_json(None) == CLOSED


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"condition": "isolated"},
        {"held_by": "somebody"},
        {"period": -1},
        {"calls": True},
        {"failures": "-1"},
        {"failures": 3},
        {"since": "2026-03-01T12:00:00"},
        {"leases": ["soon"]},
        {"leases": None},
        {"opened_at": None},
    ],
    ids=str,
)
def test_a_state_of_another_version_reads_as_closed(change: dict[str, Any]) -> None:
    assert from_json(json.dumps(json.loads(to_json(OPEN)) | change)) == CLOSED


@pytest.mark.parametrize("field", json.loads(to_json(OPEN)))
def test_a_state_with_a_field_missing_reads_as_closed(field: str) -> None:
    stored = json.loads(to_json(OPEN))
    del stored[field]
    assert from_json(json.dumps(stored)) == CLOSED
