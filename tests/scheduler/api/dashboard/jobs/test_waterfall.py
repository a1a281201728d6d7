"""The geometry of a run's attempts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

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
    assert [row.label for row in found.rows] == [
        "Attempt 1 · 200 ms · 503, unexpected status",
        "Attempt 2 · 200 ms · 200, succeeded",
    ]
    assert [row.is_bad for row in found.rows] == [True, False]
    assert [(bar.phase, bar.place, bar.width) for row in found.rows for bar in row.bars] == [
        ("first_byte", 0, 12.5),
        ("body", 12.5, 12.5),
        ("wait", 25, 37.5),
        ("first_byte", 62.5, 12.5),
        ("body", 75, 12.5),
    ]
    assert found.phases == ["first_byte", "body", "wait"]
    assert "Attempt 1 · 200 ms · 503, unexpected status: first byte 100 ms, body 100 ms, wait 300 ms" in found.label


def test_steps_follow_their_attempt() -> None:
    steps = (StepDetail("login", 200, 10.0), StepDetail("pay", None, 22.0, StepOutcome.TIMED_OUT, "run_timeout"))
    found = draw_waterfall(with_attempts(replace(GOOD, details=Details(steps=steps))))
    assert found is not None
    assert [row.label for row in found.rows[1:]] == ["Step login · 10 ms · 200", "Step pay · 22 ms · timed out"]
    assert found.rows[2].is_bad


def test_a_run_without_attempts_has_none() -> None:
    assert draw_waterfall(with_attempts()) is None
