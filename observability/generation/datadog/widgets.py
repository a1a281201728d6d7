"""Widgets of Datadog's dashboards. Used by dashboard. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from observability.generation.core.document import Json

NamedQuery = tuple[str, str]
"""A name, which formulas use, and a query of metrics."""


def make_timeseries(title: str, queries: Sequence[NamedQuery], formulas: Sequence[tuple[str, str]] = ()) -> Json:
    """Return lines over time. `formulas`: of the names of queries, each with its alias; by default each query alone."""
    request = {
        "response_format": "timeseries",
        "display_type": "line",
        "queries": [_make_query(name, query) for name, query in queries],
        "formulas": [_make_formula(*one) for one in formulas or [(name, name) for name, _ in queries]],
    }
    return {"definition": {"type": "timeseries", "title": title, "show_legend": True, "requests": [request]}}


def make_value(title: str, queries: Sequence[NamedQuery], formula: str, aggregator: str, unit: str = "") -> Json:
    """Return one number over the time range. `aggregator`: sum, max, last, ..."""
    request = {
        "response_format": "scalar",
        "queries": [{**_make_query(name, query), "aggregator": aggregator} for name, query in queries],
        "formulas": [{"formula": formula}],
    }
    more = {"custom_unit": unit} if unit else {}
    definition = {"type": "query_value", "title": title, "autoscale": True, "precision": 2, "requests": [request]}
    return {"definition": {**definition, **more}}


def make_top_list(title: str, query: str, aggregator: str) -> Json:
    """Return the groups of a query with the largest values."""
    request = {
        "response_format": "scalar",
        "queries": [{**_make_query("value", query), "aggregator": aggregator}],
        "formulas": [{"formula": "value", "limit": {"count": 20, "order": "desc"}}],
    }
    return {"definition": {"type": "toplist", "title": title, "requests": [request]}}


def make_check_status(title: str, check: str, tags: Sequence[str], group_by: Sequence[str]) -> Json:
    """Return the states of a service check."""
    definition = {"check": check, "grouping": "cluster", "group_by": list(group_by), "tags": list(tags)}
    return {"definition": {"type": "check_status", "title": title, **definition}}


def make_objective(title: str, slo_id: str, window: str) -> Json:
    """Return the state of an SLO and its error budget."""
    definition = {
        "type": "slo",
        "title": title,
        "slo_id": slo_id,
        "view_type": "detail",
        "view_mode": "both",
        "show_error_budget": True,
        "time_windows": [window],
    }
    return {"definition": definition}


def make_group(title: str, widgets: Sequence[Json]) -> Json:
    """Return a titled group of widgets."""
    return {"definition": {"type": "group", "title": title, "layout_type": "ordered", "widgets": list(widgets)}}


def _make_query(name: str, query: str) -> Json:
    return {"data_source": "metrics", "name": name, "query": query}


def _make_formula(formula: str, alias: str) -> Json:
    return {"formula": formula, "alias": alias}
