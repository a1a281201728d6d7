from __future__ import annotations

from datetime import timedelta

from jobs.running.run_factories import dead_lettered_run, interrupted_run, overdue_run, skipped_run
from jobs.runs import ErrorClass, Outcome
from jobs.runs.outcomes import Reason, ReasonCode
from tests.jobs.running.run_parts import TICKET, URL, job
from tests.jobs.running.virtual_time import START, LoopClock, virtual_time

LATER = START + timedelta(seconds=9)


@virtual_time
async def test_a_skipped_run_reports_why_and_took_no_time() -> None:
    run = skipped_run(job(), TICKET, LoopClock(), Reason(ReasonCode.OVERLAP, "the run before is still going"))
    assert (run.outcome, run.message, run.error) == (Outcome.SKIPPED, "the run before is still going", None)
    assert (run.started_at, run.finished_at, run.endpoint) == (START, START, URL)


@virtual_time
async def test_a_run_can_be_skipped_because_its_job_is_gone() -> None:
    run = skipped_run(None, TICKET, LoopClock(), Reason(ReasonCode.OVERLAP, "there is no such job"))
    assert (run.job, run.endpoint, run.tags) == ("checkout", "", {})


def test_an_interrupted_run_reports_nothing_about_the_target() -> None:
    run = interrupted_run(TICKET, START, LATER)
    assert (run.outcome, run.error, run.attempts) == (Outcome.CANCELLED, ErrorClass.INTERRUPTED, ())
    assert (run.outcome.down, run.duration_ms) == (False, 9000)


def test_an_interrupted_run_of_a_known_job_carries_its_endpoint_and_tags() -> None:
    run = interrupted_run(TICKET, START, LATER, job())
    assert (run.endpoint, run.tags) == (URL, {"team": "payments"})


def test_a_run_that_was_abandoned_counts_as_down() -> None:
    run = dead_lettered_run(TICKET, LATER, "delivered 5 times, and broken each time")
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.DEAD_LETTERED)
    assert run.message == "Given up and stored as a dead letter: delivered 5 times, and broken each time"


def test_a_run_may_be_overdue_before_its_first_attempt() -> None:
    run = overdue_run(job(), TICKET, START, LATER, [])
    assert (run.outcome, run.message) == (
        Outcome.TIMED_OUT,
        "The run's time ended before attempt 1 could start.",
    )
