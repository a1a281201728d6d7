"""The KQL of the product's presets, judged by Microsoft's language service."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from config.presets.library import built_in_names
from jobs.targets import AzureQueryTarget
from tests.config.presets.golden_answers import job_of
from tests.parts.kusto import RESOURCE_GRAPH, TABLES, WORKSPACE, find_diagnostics

QUERIES = {name: check for name in built_in_names() if isinstance(check := job_of(name).check, AzureQueryTarget)}


def tables_of(check: AzureQueryTarget) -> Mapping[str, str]:
    return RESOURCE_GRAPH if check.subscriptions else WORKSPACE if check.workspace else TABLES


@pytest.mark.parametrize("name", [*QUERIES])
def test_the_query_of_a_preset_is_valid_and_a_planted_mistake_is_found(name: str) -> None:
    check = QUERIES[name]
    found, planted = find_diagnostics([check.query, f"{check.query} | where Missing > 0"], tables_of(check))
    assert found == ()
    assert [each.text for each in planted] == ["Missing"]


def test_all_presets_with_a_query_are_covered() -> None:
    assert set(QUERIES) == {"function-last-success", "log-query", "service-health"}
