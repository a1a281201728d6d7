from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.running.retry_budget import RetryBudget

HERE, THERE = "http://one.internal/health", "http://other.internal/health"


def acquired(budget: RetryBudget, expected: int, now: float, endpoint: str = HERE, job: str = "a") -> int:
    return sum(budget.acquire_retry(endpoint, job, now) for _ in range(expected))


def test_a_host_has_as_many_retries_at_once_as_there_are_a_minute() -> None:
    assert acquired(RetryBudget(60, 0.2), 100, 0.0) == 60


def test_the_budget_fills_up_evenly_within_a_minute() -> None:
    budget = RetryBudget(60, 0.2)
    acquired(budget, 60, 0.0)
    assert acquired(budget, 100, 10.0) == 10
    assert acquired(budget, 100, 1000.0) == 60


def test_first_attempts_earn_a_share_of_retries_on_top() -> None:
    budget = RetryBudget(60, 0.2)
    for _ in range(1000):
        budget.record_first_attempt(HERE, "a", 0.0)
    assert acquired(budget, 2000, 1.0) in (259, 260)


def test_what_first_attempts_earned_is_lost_after_a_while() -> None:
    budget = RetryBudget(60, 0.2)
    for _ in range(1000):
        budget.record_first_attempt(HERE, "a", 0.0)
    assert acquired(budget, 2000, 130.0) == 60


def test_hosts_do_not_share_a_budget_and_ports_are_hosts_of_their_own() -> None:
    budget = RetryBudget(1, 0)
    assert [acquired(budget, 2, 0.0, endpoint) for endpoint in (HERE, THERE, "http://one.internal:8080/")] == [1, 1, 1]


def test_urls_of_one_host_share_a_budget() -> None:
    budget = RetryBudget(1, 0)
    assert [acquired(budget, 2, 0.0, endpoint) for endpoint in (HERE, "http://one.internal:80/other?x=1")] == [1, 0]


def test_hosts_that_were_not_queried_for_a_minute_are_forgotten() -> None:
    budget = RetryBudget()
    for number in range(3000):
        budget.acquire_retry(f"http://host{number}.internal/", "a", number * 1.0)
    assert len(budget._buckets) <= 1000


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 30)), max_size=200))
def test_there_are_never_more_retries_than_the_burst_the_refill_and_the_shares(
    requested: list[tuple[bool, float]],
) -> None:
    budget, now, firsts, retries = RetryBudget(5, 0.2), 0.0, 0, 0
    for first, waited in requested:
        now += waited
        if first:
            budget.record_first_attempt(HERE, "a", now)
            firsts += 1
        else:
            retries += budget.acquire_retry(HERE, "a", now)
        assert retries <= 5 + now * 5 / 60 + firsts * 0.2 + 1e-6


# --- the share of a job ---


def test_the_first_retry_of_a_job_exists_whatever_strangers_have_used_before() -> None:
    budget = RetryBudget(60, 0.2)
    for stranger in range(10):
        acquired(budget, 1000, 0.0, job=f"stranger-{stranger}")
    assert acquired(budget, 10, 0.0, job="late") == 1


def test_a_job_that_came_before_the_strangers_retains_its_part_of_the_tokens() -> None:
    budget = RetryBudget(60, 0.2)
    jobs = [f"stranger-{number}" for number in range(9)]
    for job in (*jobs, "mine"):
        budget.record_first_attempt(HERE, job, 0.0)
    for job in jobs:
        acquired(budget, 1000, 0.5, job=job)
    assert acquired(budget, 1000, 0.5, job="mine") >= 6


def test_ten_strangers_that_always_fail_take_no_first_retry_of_a_job_that_fails_now_and_then() -> None:
    budget, refused = RetryBudget(60, 0.2), 0
    for second in range(600):
        for stranger in range(10):
            budget.record_first_attempt(HERE, f"stranger-{stranger}", second)
            acquired(budget, 2, second, job=f"stranger-{stranger}")
        budget.record_first_attempt(HERE, "mine", second)
        if second % 4 == 0:
            refused += not budget.acquire_retry(HERE, "mine", second)
    assert refused == 0


def test_jobs_that_always_fail_have_equally_many_retries() -> None:
    budget = RetryBudget(60, 0.2)
    given = dict.fromkeys("abcdefghijk", 0)
    for second in range(46):
        for job in given:
            budget.record_first_attempt(HERE, job, second)
            given[job] += acquired(budget, 2, second, job=job)
    assert max(given.values()) - min(given.values()) <= 6
    assert min(given.values()) >= 15


def test_what_jobs_that_are_well_leave_is_for_one_that_fails() -> None:
    budget, given = RetryBudget(60, 0), 0
    for second in range(300):
        for job in "abcdefghi":
            budget.record_first_attempt(HERE, job, second)
        budget.record_first_attempt(HERE, "mine", second)
        given += budget.acquire_retry(HERE, "mine", second)
    assert given >= 290


def test_a_job_that_is_gone_leaves_its_part_to_the_others() -> None:
    budget = RetryBudget(60, 0)
    budget.record_first_attempt(HERE, "gone", 0.0)
    budget.record_first_attempt(HERE, "mine", 0.0)
    for second in range(1, 400):
        budget.record_first_attempt(HERE, "mine", second)
    assert acquired(budget, 100, 400.0, job="mine") == 60


def test_without_a_budget_there_are_no_retries_however_many_jobs_there_are() -> None:
    budget = RetryBudget(0, 0)
    assert sum(acquired(budget, 2, 0.0, job=f"job-{number}") for number in range(10)) == 0


_STEPS = st.lists(
    st.tuples(st.sampled_from("abcm"), st.booleans(), st.sampled_from([0.0, 0.1, 1.0, 20.0, 150.0])), max_size=300
)


@pytest.mark.property
@given(_STEPS)
def test_nothing_that_others_do_takes_the_retry_that_a_job_has_earned(steps: list[tuple[str, bool, float]]) -> None:
    """The job `m` has one retry at first, and one for each five first attempts since its last one."""
    budget, now, firsts = RetryBudget(60, 0.2), 0.0, 5
    for job, is_first, waited in steps:
        now += waited
        if is_first:
            budget.record_first_attempt(HERE, job, now)
            firsts += job == "m"
        elif job != "m":
            acquired(budget, 100, now, job=job)
        elif budget.acquire_retry(HERE, "m", now):
            firsts = 0
        else:
            assert firsts < 5


@pytest.mark.property
@given(_STEPS)
def test_the_jobs_of_a_host_never_have_more_retries_than_its_budget_and_one_for_each_job(
    steps: list[tuple[str, bool, float]],
) -> None:
    budget, now, firsts, retries, observed, came = RetryBudget(5, 0.2), 0.0, 0, 0, dict[str, float](), 0
    for job, is_first, waited in steps:
        now += waited
        came += now - observed.get(job, float("-inf")) > 120
        observed[job] = now
        if is_first:
            budget.record_first_attempt(HERE, job, now)
            firsts += 1
        else:
            retries += acquired(budget, 3, now, job=job)
        assert retries <= 5 + now * 5 / 60 + firsts * 0.2 + came + 1e-6


def test_the_use_of_the_budget_is_that_of_the_host_with_the_least_left() -> None:
    budget = RetryBudget(60, 0.2)
    assert budget.find_use(0.0) == 0
    acquired(budget, 15, 0.0)
    acquired(budget, 45, 0.0, THERE)
    assert budget.find_use(0.0) == pytest.approx(0.75)
    assert budget.find_use(45.0) == pytest.approx(0.0)


def test_each_denied_retry_is_reported() -> None:
    budget, denied = RetryBudget(60, 0.2), []
    budget.on_denied = lambda: denied.append(1)
    acquired(budget, 63, 0.0)
    assert len(denied) == 3


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.floats(0, 90)), max_size=8))
def test_the_use_is_a_share_whatever_the_jobs_of_a_host_have_done(steps: list[tuple[str, int, float]]) -> None:
    budget, now = RetryBudget(60, 0.2), 0.0
    for job, number, seconds in steps:
        budget.record_first_attempt(HERE, job, now)
        acquired(budget, number, now, job=job)
        now += seconds
        assert 0 <= budget.find_use(now) <= 1
