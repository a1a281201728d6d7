"""What a terminal shows of many runs while they go on."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from jobs.running.clocks import SystemClock
from jobs.running.run_factories import cancelled_run, skipped_run
from jobs.runs import Ticket
from jobs.runs.events import RunFinished
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.cli.progress import FollowingRuns, RunCounter

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

PAUSED = Reason(ReasonCode.JOB_PAUSED, "it is paused")


def test_runs_that_are_over_are_counted_by_outcome() -> None:
    clock = SystemClock()
    now = clock.now()
    ticket = Ticket.requested("checkout", now, "")
    with RunCounter(Console(file=io.StringIO())) as count:
        for _ in range(2):
            count.run_finished(RunFinished(skipped_run(None, ticket, clock, PAUSED)))
        count.run_finished(RunFinished(cancelled_run(None, ticket, now, now, cancelled_by="on the command line")))

    assert count.text == "3 over: 2 skipped, 1 cancelled"


def over(job: str) -> RunFinished:
    return RunFinished(skipped_run(None, Ticket.requested(job, START, ""), SystemClock(), PAUSED))


def test_what_follows_from_a_run_is_named() -> None:
    followed = FollowingRuns("checkout")
    followed.run_finished(over("checkout"))
    assert str(followed) == ""

    followed.run_finished(over("load"))
    followed.run_finished(over("report"))
    assert str(followed) == "followed by load: skipped, report: skipped"

    for _ in range(10):
        followed.run_finished(over("report"))
    assert str(followed) == "followed by 12 runs: 12 skipped"
