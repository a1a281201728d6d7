from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.running.circuit_state import (
    CLOSED_CIRCUIT,
    CircuitCondition,
    CircuitState,
    CircuitWindow,
    ManualOverride,
    WindowBucket,
    dump_state,
    load_state,
)

_TIMES = st.datetimes(timezones=st.just(UTC))
_COUNTS = st.integers(0, 10_000)
_WINDOWS = st.builds(
    CircuitWindow,
    calls=_COUNTS,
    failures=st.integers(0, 2**1000 - 1),
    slow=st.integers(0, 2**1000 - 1),
    buckets=st.lists(st.builds(WindowBucket, _TIMES, _COUNTS, _COUNTS, _COUNTS), max_size=3).map(tuple),
)
_FORCED = st.builds(
    ManualOverride,
    st.booleans(),
    _TIMES,
    st.none() | _TIMES,
    st.text(max_size=50),
    st.sampled_from(["", "over the API"]),
)
_STATES = st.builds(
    CircuitState,
    condition=st.sampled_from(CircuitCondition),
    period=_COUNTS,
    since=_TIMES,
    opened_at=_TIMES,
    opened_reason=st.text(max_size=50),
    consecutive_failures=_COUNTS,
    window=_WINDOWS,
    succeeded=_COUNTS,
    failed=_COUNTS,
    slow=_COUNTS,
    leases=st.lists(_TIMES, max_size=4).map(tuple),
    override=st.none() | _FORCED,
)

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = CircuitState(CircuitCondition.HALF_OPEN, 2, _NOON, _NOON, "why", leases=(_NOON + timedelta(seconds=30),))


@given(_STATES)
def test_a_state_comes_back_from_json_as_it_was(state: CircuitState) -> None:
    assert load_state(dump_state(state)) == state


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_anything_else_reads_as_closed(text: str) -> None:
    assert load_state(text) == CLOSED_CIRCUIT


def test_nothing_stored_reads_as_closed() -> None:
    assert load_state(None) == CLOSED_CIRCUIT


@pytest.mark.parametrize(
    "change",
    [
        {"v": 3},
        {"condition": "isolated"},
        {"held_by": "somebody"},
        {"period": -1},
        {"calls": True},
        {"failures": "-1"},
        {"failures": 3},
        {"slow": "-1"},
        {"probes": [1, 2]},
        {"buckets": [["2026-03-01T12:00:00+00:00", 1, 1]]},
        {"buckets": [["2026-03-01T12:00:00", 1, 1, 1]]},
        {"forced": {"open": 1, "since": "2026-03-01T12:00:00+00:00", "until": None, "reason": "", "way": ""}},
        {"forced": True},
        {"since": "2026-03-01T12:00:00"},
        {"leases": ["soon"]},
        {"leases": None},
        {"opened_at": None},
    ],
    ids=str,
)
def test_a_state_of_another_version_reads_as_closed(change: dict[str, Any]) -> None:
    assert load_state(json.dumps(json.loads(dump_state(OPEN)) | change)) == CLOSED_CIRCUIT


@pytest.mark.parametrize("field", json.loads(dump_state(OPEN)))
def test_a_state_with_a_field_missing_reads_as_closed(field: str) -> None:
    stored = json.loads(dump_state(OPEN))
    del stored[field]
    assert load_state(json.dumps(stored)) == CLOSED_CIRCUIT


def test_a_state_of_version_1_is_read() -> None:
    stored = {
        "v": 1,
        "condition": "half_open",
        "period": 2,
        "since": "2026-03-01T12:00:00+00:00",
        "opened_at": "2026-03-01T12:00:00+00:00",
        "why": "why",
        "consecutive": 1,
        "calls": 4,
        "failures": "3",
        "succeeded": 1,
        "leases": ["2026-03-01T12:00:30+00:00"],
    }
    lease = _NOON + timedelta(seconds=30)
    assert load_state(json.dumps(stored)) == CircuitState(
        CircuitCondition.HALF_OPEN, 2, _NOON, _NOON, "why", 1, CircuitWindow(4, 3), succeeded=1, leases=(lease,)
    )


def test_the_largest_state_is_small() -> None:
    window = CircuitWindow(
        1000, 2**1000 - 1, 2**1000 - 1, tuple(WindowBucket(_NOON, 10**6, 10**6, 10**6) for _ in range(10))
    )
    forced = ManualOverride(True, _NOON, _NOON, "x" * 500, "over the API")
    leases = (_NOON,) * 100
    state = CircuitState(CircuitCondition.HALF_OPEN, 9, _NOON, _NOON, "why", 9, window, leases=leases, override=forced)
    assert len(dump_state(state)) < 6000


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (
            '{"v":2,"condition":"closed","period":0,"since":null,"opened_at":null,"why":"","consecutive":2,"calls":20,'
            '"failures":"3","slow":"0","buckets":[],"probes":[0,0,0],"leases":[],"forced":null}',
            CircuitState(consecutive_failures=2, window=CircuitWindow(20, 3)),
        ),
        (
            '{"v":2,"condition":"half_open","period":2,"since":"2026-03-01T12:00:00+00:00",'
            '"opened_at":"2026-03-01T12:00:00+00:00","why":"why","consecutive":0,"calls":0,"failures":"0","slow":"0",'
            '"buckets":[["2026-03-01T12:00:00+00:00",9,1,0]],"probes":[1,0,1],"leases":["2026-03-01T12:00:30+00:00"],'
            '"forced":{"open":true,"since":"2026-03-01T12:00:00+00:00","until":null,"reason":"deployment",'
            '"way":"over the API"}}',
            CircuitState(
                CircuitCondition.HALF_OPEN,
                2,
                _NOON,
                _NOON,
                "why",
                window=CircuitWindow(buckets=(WindowBucket(_NOON, 9, 1),)),
                succeeded=1,
                slow=1,
                leases=(_NOON + timedelta(seconds=30),),
                override=ManualOverride(True, _NOON, None, "deployment", "over the API"),
            ),
        ),
    ],
)
def test_a_row_of_version_0_1_0_is_read(row: str, state: CircuitState) -> None:
    assert load_state(row) == state
