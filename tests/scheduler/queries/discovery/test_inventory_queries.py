"""The KQL that a discovery sends to Resource Graph, judged by Microsoft's language service."""

from __future__ import annotations

from typing import Any

from config.job_files.job_set import JobSet
from scheduler.features.discovery.inventory import read_inventory
from scheduler.features.discovery.needs import list_paths
from tests.parts.kusto import RESOURCE_GRAPH, find_diagnostics
from tests.parts.resource_graph import RECORDED


def test_the_queries_of_all_subscriptions_and_of_a_group_are_valid_and_a_planted_mistake_is_found() -> None:
    queries: list[str] = []

    def post(body: dict[str, Any]) -> dict[str, Any]:
        queries.append(body["query"])
        return {"data": RECORDED["containers"][:1]}

    for group in ("", str(RECORDED["resources"][0]["resourceGroup"])):
        read_inventory(post, (), group, list_paths(JobSet().presets))
    planted = queries[-1].replace("order by id", "order by absent")
    *found, mistakes = find_diagnostics([*queries, planted], RESOURCE_GRAPH)
    assert len(set(queries)) == 4
    assert found == [()] * len(queries)
    assert [each.text for each in mistakes] == ["absent"]
