"""Every query of the dashboard for Application Insights, judged by Microsoft's language service."""

from __future__ import annotations

from typing import Any

from observability.generation.grafana.target import make_insights_dashboard
from tests.observability.generation.grafana.portfolios import PORTFOLIO
from tests.parts.kusto import find_diagnostics

DASHBOARD = make_insights_dashboard(PORTFOLIO).value
MACROS = {"$__timeFilter(timestamp)": "timestamp > ago(1h)", "$__interval": "5m", "$job": '"checkout", "search.v2"'}


def queries(dashboard: Any) -> list[str]:
    found = [
        target["azureLogAnalytics"]["query"] for panel in dashboard["panels"] for target in panel.get("targets") or ()
    ]
    variables = dashboard["templating"]["list"]
    found += [one["query"]["azureLogAnalytics"]["query"] for one in variables if isinstance(one.get("query"), dict)]
    return [fill_in(query) for query in found]


def fill_in(query: str) -> str:
    for name, value in MACROS.items():
        query = query.replace(name, value)
    return query


def test_no_query_has_a_diagnostic_and_a_mutation_has_one() -> None:
    found = queries(DASHBOARD)
    mutated = found[0].replace("customEvents", "customEvent")
    *diagnostics, last = find_diagnostics([*found, mutated])
    assert [(query, found) for query, found in zip(found, diagnostics, strict=True) if found] == []
    assert last
    assert len(found) > 20
    assert not any("$" in query for query in found)


def test_it_reads_the_deployment_alone() -> None:
    assert all('cloud_RoleName == "checks"' in query for query in queries(DASHBOARD))
