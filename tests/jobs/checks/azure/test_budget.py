"""Requests are sent in turn, within what Azure admits, and as its responses correct it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.azure.budget import MAX_WAIT, USED_SHARE, AzureBudget, BudgetExhausted, find_limits, find_wait
from jobs.targets.azure_apis import SUBSCRIPTION_READS

URL = "https://management.azure.com/subscriptions/S1/providers/Microsoft.ServiceBus/namespaces/a/queues"
READS = find_limits("GET", URL)
LEFT = "x-ms-ratelimit-remaining-subscription-reads"


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("method", "url", "limits"),
    [
        ("GET", URL, ["reads of subscription s1", "requests to microsoft.servicebus of subscription s1"]),
        (
            "POST",
            "https://management.azure.com/subscriptions/S1/providers/Microsoft.DataFactory/factories/a/queryPipelineRuns",
            ["writes of subscription s1", "requests to microsoft.datafactory of subscription s1"],
        ),
        ("GET", "https://management.azure.com/subscriptions/S1/resourceGroups", ["reads of subscription s1"]),
        ("GET", "https://management.azure.com/tenants", ["reads of the tenant"]),
        (
            "POST",
            "https://management.azure.com/providers/Microsoft.ResourceGraph/resources",
            ["queries of Resource Graph"],
        ),
        ("GET", "https://graph.microsoft.com/v1.0/applications", ["reads of the tenant at graph.microsoft.com"]),
        ("POST", "https://api.loganalytics.azure.com/v1/workspaces/W/query", ["queries at api.loganalytics.azure.com"]),
    ],
)
def test_a_request_counts_against_the_limits_of_its_api(method: str, url: str, limits: list[str]) -> None:
    assert [str(key) for key in find_limits(method, url)] == limits


def test_the_spelling_of_a_subscription_or_provider_makes_no_other_limits() -> None:
    assert find_limits("GET", URL.replace("S1", "s1").replace("Microsoft.ServiceBus", "microsoft.servicebus")) == READS


def test_a_burst_is_sent_at_once_and_the_rest_waits_in_turn() -> None:
    budget = AzureBudget(Time())
    waits = [budget.reserve(READS) for _ in range(300)]
    size, rate = SUBSCRIPTION_READS.size * USED_SHARE, SUBSCRIPTION_READS.refill * USED_SHARE
    assert waits[: int(size)] == [0.0] * int(size)
    assert waits[int(size) :] == pytest.approx([(number + 1) / rate for number in range(100)])


def test_a_request_that_would_wait_too_long_is_refused_and_takes_nothing() -> None:
    time = Time()
    budget = AzureBudget(time)
    for _ in range(700):
        assert budget.reserve(READS) <= MAX_WAIT
    with pytest.raises(BudgetExhausted) as refused:
        budget.reserve(READS)
    assert refused.value.seconds > MAX_WAIT
    assert not refused.value.is_blocked
    for _ in range(100):
        with pytest.raises(BudgetExhausted):
            budget.reserve(READS)
    time.now += 1.0
    assert budget.reserve(READS) <= MAX_WAIT


def test_subscriptions_have_separate_buckets() -> None:
    budget = AzureBudget(Time())
    for _ in range(200):
        budget.reserve(READS)
    assert budget.reserve(READS) > 0
    assert budget.reserve(find_limits("GET", URL.replace("S1", "S2"))) == 0


def test_what_others_have_used_lowers_the_level() -> None:
    budget = AzureBudget(Time())
    budget.reserve(READS)
    budget.record(READS, 200, {LEFT: "51"}, None)
    assert budget.reserve(READS) == 0
    assert budget.reserve(READS) > 0


def test_a_header_that_tells_more_than_the_bucket_has_changes_nothing() -> None:
    budget = AzureBudget(Time())
    budget.record(READS, 200, {LEFT: "11999"}, None)
    waits = [budget.reserve(READS) for _ in range(201)]
    assert (waits[199], waits[200]) == (0.0, 0.05)


@pytest.mark.parametrize("text", ["", "many", "-1", "1e9", "²", "9" * 5000])
def test_a_malformed_header_is_ignored(text: str) -> None:
    budget = AzureBudget(Time())
    budget.record(READS, 200, {LEFT: text}, None)
    assert budget.reserve(READS) == 0


def test_a_throttling_provider_does_not_stop_the_others_of_the_subscription() -> None:
    time = Time()
    budget = AzureBudget(time)
    budget.reserve(READS)
    assert budget.record(READS, 429, {LEFT: "240"}, 60.0) == 60.0
    with pytest.raises(BudgetExhausted) as refused:
        budget.reserve(READS)
    assert (refused.value.is_blocked, refused.value.seconds) == (True, 60.0)
    assert budget.reserve(find_limits("GET", URL.replace("ServiceBus", "Web"))) == 0
    time.now += 60.0
    assert budget.reserve(READS) == 0


def test_a_subscription_without_requests_left_stops_all_of_its_jobs() -> None:
    budget = AzureBudget(Time())
    budget.record(READS, 429, {LEFT: "0"}, 40.0)
    with pytest.raises(BudgetExhausted):
        budget.reserve(find_limits("GET", URL.replace("ServiceBus", "Web")))


def test_a_request_that_waits_is_not_sent_after_a_refusal_of_others() -> None:
    budget = AzureBudget(Time())
    budget.reserve(READS)
    budget.check_blocked(READS)
    budget.record(READS, 429, {}, 5.0)
    with pytest.raises(BudgetExhausted):
        budget.check_blocked(READS)


def test_resource_graph_says_when_its_quota_is_reset() -> None:
    time = Time()
    budget = AzureBudget(time)
    limits = find_limits("POST", "https://management.azure.com/providers/Microsoft.ResourceGraph/resources")
    budget.reserve(limits)
    budget.record(limits, 200, {"x-ms-user-quota-remaining": "0", "x-ms-user-quota-resets-after": "00:00:05"}, None)
    assert budget.reserve(limits) >= 5.0


def test_the_wait_of_cost_management_has_a_header_of_its_own() -> None:
    assert find_wait({"x-ms-ratelimit-microsoft.consumption-retry-after": "45"}, None) == 45.0
    assert find_wait({}, 7.0) == 7.0
    assert find_wait({"x-ms-user-quota-resets-after": "00:00:03"}, None) == 3.0
    assert find_wait({}, None) == 30.0


@given(st.lists(st.floats(min_value=0, max_value=20), max_size=400))
def test_no_sequence_of_requests_exceeds_the_published_bucket(pauses: list[float]) -> None:
    time = Time()
    budget = AzureBudget(time)
    sent = []
    for pause in pauses:
        time.now += pause
        try:
            sent.append(time.now + budget.reserve(READS))
        except BudgetExhausted:
            continue
    level, at = SUBSCRIPTION_READS.size, 0.0
    for instant in sorted(sent):
        level = min(SUBSCRIPTION_READS.size, level + (instant - at) * SUBSCRIPTION_READS.refill) - 1
        at = instant
        assert level >= 0
