"""Dashboards are read by Grafana's own models without a loss; any mutation is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from observability.generation.grafana.prometheus_dashboard import make_prometheus_dashboard
from observability.generation.grafana.target import make_insights_dashboard
from observability.generation.portfolio import Portfolio
from tests.observability.generation.grafana.portfolios import PORTFOLIO

DASHBOARDS = {
    "insights": make_insights_dashboard(PORTFOLIO),
    "insights without jobs": make_insights_dashboard(Portfolio()),
    "prometheus": make_prometheus_dashboard(PORTFOLIO),
    "without jobs": make_prometheus_dashboard(Portfolio()),
}


def is_valid(value: Any) -> bool:
    """Whether the models read it, and write the same again: a key that they do not know would be lost."""
    register_default_plugins()  # the models of queries and of options of panels
    try:
        read = Dashboard.from_json(copy.deepcopy(value))
        return bool(json.loads(JSONEncoder().encode(read)) == value)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


@pytest.mark.parametrize("name", DASHBOARDS)
def test_it_is_valid(name: str) -> None:
    assert is_valid(DASHBOARDS[name].value)


def _rename(value: dict[str, Any], old: str, new: str) -> None:
    value[new] = value.pop(old)


MUTATIONS: dict[str, Callable[[Any], Any]] = {
    "a key of the dashboard": lambda value: _rename(value, "refresh", "refreshes"),
    "a key of a panel": lambda value: _rename(value["panels"][1], "gridPos", "gridPosition"),
    "a key of a query": lambda value: _rename(value["panels"][1]["targets"][0], "expr", "expression"),
    "a key of options": lambda value: _rename(value["panels"][1]["options"], "graphMode", "graph"),
    "a removed list": lambda value: value.pop("templating"),
    "a text instead of a list": lambda value: value.update(panels="none"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_is_found(mutation: str) -> None:
    value = copy.deepcopy(DASHBOARDS["prometheus"].value)
    MUTATIONS[mutation](value)
    assert not is_valid(value)


def test_a_mutation_of_a_query_of_azure_monitor_is_found() -> None:
    value = copy.deepcopy(DASHBOARDS["insights"].value)
    _rename(value["panels"][1]["targets"][0]["azureLogAnalytics"], "query", "kql")
    assert not is_valid(value)


@pytest.mark.parametrize("name", ["prometheus", "insights"])
def test_panels_lie_side_by_side_on_the_grid(name: str) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name].value["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own
