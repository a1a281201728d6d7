"""A job that asks Azure more often than the API is meant for is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jobs.warnings.helpers import refused

GUID = "00000000-0000-4000-8000-000000000001"
SUBSCRIPTION = f"/subscriptions/{GUID}"


def resource(path: str) -> dict[str, Any]:
    return {"kind": "azure_resource", "resource": f"{SUBSCRIPTION}/{path}", "api_version": "2024-08-01"}


BUDGETS = resource("providers/Microsoft.Consumption/budgets")
QUEUES = resource("resourceGroups/a/providers/Microsoft.ServiceBus/namespaces/b/queues")
GRAPH = {"kind": "azure_resource", "resource": "https://graph.microsoft.com/v1.0/applications"}
QUERY = {"kind": "azure_query", "workspace": GUID, "query": "Usage"}


def test_a_short_interval_is_refused_with_the_one_to_write() -> None:
    assert refused(check=BUDGETS, schedule={"every": "1h"}) == [
        "schedule: requests Cost Management every 1 h; the shortest interval is 6 h: its numbers are hours old; "
        "write a longer one, such as every: 6h"
    ]


@pytest.mark.parametrize(
    ("check", "schedule"),
    [
        (QUEUES, {"every": "30s"}),
        (QUEUES, "*/30 * * * * *"),
        (QUEUES, ["0 * * * * *", "30 * * * * *"]),
        (GRAPH, "0 */10 * * * *"),
        (QUERY, {"every": "30s"}),
        (resource("resourceGroups/a/providers/Microsoft.KeyVault/vaults/b/secrets"), {"every": "5m"}),
        (resource("providers/Microsoft.Compute/locations/eastus/usages"), {"every": "1m"}),
        (resource("resourceGroups"), {"every": "10s"}),
    ],
    ids=str,
)
def test_each_api_has_a_shortest_interval(check: dict[str, Any], schedule: Any) -> None:
    (problem,) = refused(check=check, schedule=schedule)
    assert "the shortest interval is" in problem


@pytest.mark.parametrize(
    ("check", "schedule"),
    [
        (BUDGETS, {"every": "6h"}),
        (BUDGETS, "0 0 6 * * *"),
        (BUDGETS, None),
        (QUEUES, {"every": "1m", "jitter": "20s"}),
        (QUERY, {"every": "5m"}),
        ({"url": "https://a.example/"}, {"every": "5s"}),
    ],
    ids=str,
)
def test_longer_intervals_and_other_kinds_are_accepted(check: dict[str, Any], schedule: Any) -> None:
    assert refused(check=check, schedule=schedule) == []
