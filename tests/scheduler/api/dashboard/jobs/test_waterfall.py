"""The geometry of a run's attempts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs import Attempt, ErrorClass, Phases, Run
from jobs.runs.details import Details, StepDetail, StepOutcome
from scheduler.features.runs.run_page import draw_waterfall, list_phases
from tests.scheduler.stores.samples import run_of, ticket

RUN = run_of(ticket())
(GOOD,) = RUN.attempts


def with_attempts(*attempts: Attempt) -> Run:
    return replace(RUN, attempts=attempts)


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        (Phases(1.0, 2.0, 3.0, 4.0, 15.0), [("dns", 1), ("connect", 2), ("tls", 3), ("first_byte", 4), ("body", 5)]),
        (Phases(1.0, None, None, None, 5000.0), [("dns", 1), ("unfinished", 4999)]),
        (Phases(None, None, None, None, 7.0), [("unfinished", 7)]),
        (Phases(1.0, 1.0, None, 1.0, 2.0), [("dns", 1), ("connect", 1), ("first_byte", 1)]),
        (Phases(), []),
    ],
)
def test_phases_are_in_order_with_the_rest(phases: Phases, expected: list[tuple[str, float]]) -> None:
    assert list_phases(replace(GOOD, phases=phases)) == expected


def test_attempts_stand_where_they_were_with_their_waits() -> None:
    first = replace(
        GOOD,
        phases=Phases(None, None, None, 100.0, 200.0),
        error=ErrorClass.UNEXPECTED_STATUS,
        status=503,
        wait_ms=300.0,
    )
    second = replace(GOOD, number=2, started_at=GOOD.started_at + timedelta(milliseconds=500), phases=first.phases)
    found = draw_waterfall(with_attempts(first, second))
    assert found is not None
    assert [tick.text for tick in found.ticks] == ["0 ms", "200 ms", "400 ms", "600 ms", "800 ms"]
    assert [(row.name, row.result, row.time, row.is_bad) for row in found.rows] == [
        ("Attempt 1", "503", "200 ms", True),
        ("Attempt 2", "200", "200 ms", False),
    ]
    assert [(row.place, row.end) for row in found.rows] == [(0, 25), (62.5, 87.5)]  # without the wait
    assert [(bar.phase, bar.place, bar.width) for row in found.rows for bar in row.bars] == [
        ("first_byte", 0, 12.5),
        ("body", 12.5, 12.5),
        ("wait", 25, 37.5),
        ("first_byte", 62.5, 12.5),
        ("body", 75, 12.5),
    ]
    assert found.phases == ["first_byte", "body", "wait"]
    assert found.rows[0].text == "first byte 100 ms, body 100 ms, wait 300 ms"


def test_steps_follow_their_attempt() -> None:
    steps = (StepDetail("login", 200, 10.0), StepDetail("pay", None, 22.0, StepOutcome.TIMED_OUT, "run_timeout"))
    found = draw_waterfall(with_attempts(replace(GOOD, details=Details(steps=steps))))
    assert found is not None
    assert [(row.name, row.result, row.time) for row in found.rows[1:]] == [
        ("login", "200", "10 ms"),
        ("pay", "timed out", "22 ms"),
    ]
    assert [row.is_bad for row in found.rows] == [False, False, True]
    assert [row.has_answer for row in found.rows] == [False, False, True]
    assert found.rows[2].place == found.rows[1].end


@given(st.floats(1, 10_000), st.floats(1, 10_000), st.sampled_from([None, 503]))
def test_a_failed_bar_contains_the_status_only_where_it_fits(first: float, wait: float, status: int | None) -> None:
    failed = replace(
        GOOD, phases=Phases(None, None, None, None, first), status=status, error=ErrorClass.DNS_FAILURE, wait_ms=wait
    )
    found = draw_waterfall(with_attempts(failed))
    assert found is not None
    (row,) = found.rows
    assert row.result == ("503" if status else "dns failure")
    assert row.sign in ("", row.result)
    assert bool(row.sign) == (row.end - row.place >= 4 + 2.8 * len(row.result))


def test_a_run_without_attempts_has_none() -> None:
    assert draw_waterfall(with_attempts()) is None
