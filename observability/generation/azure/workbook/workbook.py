"""The workbook as a resource of Azure Monitor. Pure. Called by observability.generation.azure.documents."""

from __future__ import annotations

from typing import Final

from observability.generation.azure.place import AzurePlace
from observability.generation.azure.resource_names import make_tags
from observability.generation.azure.workbook.items import make_group, make_tabs, make_text
from observability.generation.azure.workbook.parameters import find_omitted_selections, make_parameters
from observability.generation.azure.workbook.scheduler_tab import make_scheduler
from observability.generation.azure.workbook.tabs import (
    make_failures,
    make_overview,
    make_performance,
)
from observability.generation.core.document import Json
from observability.generation.core.portfolio import Portfolio

WORKBOOK_TYPE: Final = "Microsoft.Insights/workbooks"
WORKBOOK_API_VERSION: Final = "2023-06-01"

FORMAT: Final = "Notebook/1.0"
CONTENT: Final = "serializedData"
"""The property with the workbook itself: a text to Azure, an object in a document here."""


def make_workbook_body(portfolio: Portfolio) -> Json:
    """Return the resource without its place; its content is an object."""
    title = f"{portfolio.service} {portfolio.environment}: jobs"
    return {
        "kind": "shared",
        "tags": {**make_tags(portfolio), "hidden-title": title},
        "properties": {
            "displayName": title,
            "description": "Runs, failures, durations and silence of the scheduled jobs.",
            "category": "workbook",
            "version": FORMAT,
            CONTENT: _make_content(portfolio),
        },
    }


def complete_workbook(body: Json, place: AzurePlace) -> Json:
    """Return the resource with its place."""
    content = {**body["properties"][CONTENT], "fallbackResourceIds": [place.component]}
    properties = {**body["properties"], "sourceId": place.component, CONTENT: content}
    return {**body, **place.location_property, "properties": properties}


def _make_content(portfolio: Portfolio) -> Json:
    tabs = {"overview": "Overview", "performance": "Performance", "failures": "Failures", "scheduler": "Scheduler"}
    sections = {
        "overview": make_overview(portfolio),
        "performance": make_performance(),
        "failures": make_failures(portfolio),
        "scheduler": make_scheduler(),
    }
    items = [
        make_text("introduction", _introduce(portfolio)),
        make_parameters(portfolio),
        make_tabs("tabs", tabs),
        *(make_group(f"tab {key}", key, section) for key, section in sections.items()),
    ]
    return {"version": FORMAT, "items": items, "isLocked": False}


def _introduce(portfolio: Portfolio) -> str:
    lines = [
        "Generated from the job files. Your changes of this workbook remain when it is applied again; "
        "`generate drift azure` lists them.",
        "A row of the telemetry can represent several runs: counts are exact, percentiles of ordinary runs come from a "
        "sample.",
    ]
    if omitted := find_omitted_selections(portfolio):
        lines.append(f"{omitted} groups and tags with many jobs cannot be chosen: the workbook would be too large.")
    return "\n\n".join(lines)
