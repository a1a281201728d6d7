from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.running.budget import RetryBudget

HERE, THERE = "http://one.internal/health", "http://other.internal/health"


def taken(budget: RetryBudget, wanted: int, now: float, endpoint: str = HERE) -> int:
    return sum(budget.take(endpoint, now) for _ in range(wanted))


def test_a_host_has_as_many_retries_at_once_as_there_are_a_minute() -> None:
    assert taken(RetryBudget(60, 0.2), 100, 0.0) == 60


def test_the_budget_fills_up_evenly_within_a_minute() -> None:
    budget = RetryBudget(60, 0.2)
    taken(budget, 60, 0.0)
    assert taken(budget, 100, 10.0) == 10
    assert taken(budget, 100, 1000.0) == 60


def test_first_attempts_earn_a_share_of_retries_on_top() -> None:
    budget = RetryBudget(60, 0.2)
    for _ in range(1000):
        budget.first_attempt(HERE, 0.0)
    assert taken(budget, 2000, 1.0) in (259, 260)


def test_what_first_attempts_earned_is_lost_after_a_while() -> None:
    budget = RetryBudget(60, 0.2)
    for _ in range(1000):
        budget.first_attempt(HERE, 0.0)
    assert taken(budget, 2000, 130.0) == 60


def test_hosts_do_not_share_a_budget_and_ports_are_hosts_of_their_own() -> None:
    budget = RetryBudget(1, 0)
    assert [taken(budget, 2, 0.0, endpoint) for endpoint in (HERE, THERE, "http://one.internal:8080/")] == [1, 1, 1]


def test_urls_of_one_host_share_a_budget() -> None:
    budget = RetryBudget(1, 0)
    assert [taken(budget, 2, 0.0, endpoint) for endpoint in (HERE, "http://one.internal:80/other?x=1")] == [1, 0]


def test_hosts_that_were_not_asked_for_a_minute_are_forgotten() -> None:
    budget = RetryBudget()
    for number in range(3000):
        budget.take(f"http://host{number}.internal/", number * 1.0)
    assert len(budget._buckets) <= 1000


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 30)), max_size=200))
def test_there_are_never_more_retries_than_the_burst_the_refill_and_the_shares(asked: list[tuple[bool, float]]) -> None:
    budget, now, firsts, retries = RetryBudget(5, 0.2), 0.0, 0, 0
    for first, waited in asked:
        now += waited
        if first:
            budget.first_attempt(HERE, now)
            firsts += 1
        else:
            retries += budget.take(HERE, now)
        assert retries <= 5 + now * 5 / 60 + firsts * 0.2 + 1e-6
