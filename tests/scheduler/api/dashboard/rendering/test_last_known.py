"""Since when pages fail."""

from __future__ import annotations

from datetime import timedelta

from scheduler.api.dashboard.rendering.page_caches import PageOutage
from tests.scheduler.fakes import START

JOB, RUNS, HEALTH = "/api/dashboard/jobs/checkout", "/api/dashboard/runs", "/api/dashboard/health"


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_an_outage_begins_with_the_first_page_that_fails() -> None:
    outage = PageOutage()

    assert outage.record_failure(JOB, START) == START
    assert outage.record_failure(RUNS, START + minutes(1)) == START
    assert outage.record_failure(JOB, START + minutes(5)) == START


def test_an_outage_ends_when_a_page_that_failed_is_shown() -> None:
    outage = PageOutage()
    outage.record_failure(JOB, START)
    outage.record_success(JOB)

    assert outage.record_failure(RUNS, START + minutes(1)) == START + minutes(1)


def test_a_page_that_is_shown_without_the_store_does_not_end_an_outage() -> None:
    outage = PageOutage()
    outage.record_failure(JOB, START)
    outage.record_success(HEALTH)

    assert outage.record_failure(JOB, START + minutes(1)) == START


def test_a_failure_long_after_the_last_one_begins_another_outage() -> None:
    outage = PageOutage()
    outage.record_failure(JOB, START)

    assert outage.record_failure(RUNS, START + minutes(6)) == START + minutes(6)


def test_many_addresses_that_fail_are_one_outage() -> None:
    outage = PageOutage()
    for number in range(200):
        outage.record_failure(f"{JOB}-{number}", START)
    outage.record_success(f"{JOB}-0")

    assert outage.record_failure(JOB, START + minutes(1)) == START + minutes(1)
