"""One planning pass: what it hands on, misses and leaves out, however ticks come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.catalog import Catalog
from scheduler.planning.heap import DueHeap
from scheduler.planning.plan import plan
from tests.scheduler.fakes import entry

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(("down_since", "says"), [(530, "running"), (50, "since 2026-03-01 12:01:00Z")])
def test_the_reason_of_what_is_left_out_says_since_when_and_which_policy(down_since: float, says: str) -> None:
    jobs = Catalog([entry(schedule="0 * * * * *")])

    made = plan(jobs, DueHeap(jobs.schedules(), at(down_since)), at(599), still_on_time=timedelta(seconds=10))

    (left_out,) = made.left_out
    assert left_out.ticket.due_at == at(540)
    assert says in left_out.reason
    assert left_out.reason.endswith("(catch_up: none)")
    assert (made.on_time, made.late) == ([], [])
