"""The items of a workbook: texts, queries, links, groups. Pure. Called by the other modules of this package.

Each item has a name, which is its identity when a person's changes are merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from observability.generation.core.document import Json

TEXT, QUERY, PARAMETERS, LINKS, GROUP = 1, 3, 9, 11, 12
"""Types of items."""
RESOURCE_TYPE: Final = "microsoft.insights/components"
LOGS: Final = 0
"""The query type of the logs of a component."""

LARGE, MEDIUM, SMALL = 0, 1, 4
"""Sizes of a query's result."""

PLAIN, HIDDEN, BAR, NUMBER = 1, 5, 8, 12
"""Formatters of columns."""

_GOOD_NEWS = 3
"""The style of a message for no rows that is a success."""


def make_text(name: str, markdown: str) -> Json:
    return {"type": TEXT, "name": name, "content": {"json": markdown}}


def make_group(name: str, tab: str, items: Sequence[Json]) -> Json:
    """Return the items of a tab, shown while it is selected."""
    return {
        "type": GROUP,
        "name": name,
        "conditionalVisibility": {"parameterName": "Tab", "comparison": "isEqualTo", "value": tab},
        "content": {"version": "NotebookGroup/1.0", "groupType": "editable", "items": list(items)},
    }


def make_tabs(name: str, tabs: Mapping[str, str]) -> Json:
    """Return the tabs. `tabs`: titles by the value of the parameter `Tab`."""
    links = [
        {
            "id": value,
            "cellValue": "Tab",
            "linkTarget": "parameter",
            "linkLabel": title,
            "subTarget": value,
            "style": "link",
        }
        for value, title in tabs.items()
    ]
    return {"type": LINKS, "name": name, "content": {"version": "LinkItem/1.0", "style": "tabs", "links": links}}


def make_query(
    name: str,
    title: str,
    query: str,
    *,
    visualization: str = "table",
    size: int = LARGE,
    width: int = 100,
    no_data: str = "No runs in this time range.",
    is_good_news: bool = False,
    settings: Mapping[str, Json] | None = None,
) -> Json:
    """Return a query. `no_data`: the text without rows; `is_good_news`: it is shown as a success."""
    content = {
        "version": "KqlItem/1.0",
        "query": query,
        "size": size,
        "title": title,
        "noDataMessage": no_data,
        "timeContextFromParameter": "TimeRange",
        "queryType": LOGS,
        "resourceType": RESOURCE_TYPE,
        "visualization": visualization,
        **({"noDataMessageStyle": _GOOD_NEWS} if is_good_news else {}),
        **(settings or {}),
    }
    item = {"type": QUERY, "name": name, "content": content}
    return item if width == 100 else {**item, "customWidth": str(width)}


def make_grid(formatters: Sequence[Json], labels: Mapping[str, str] | None = None) -> Mapping[str, Json]:
    """Return the settings of a table: how columns are shown, and their titles by column."""
    shown = [{"columnId": column, "label": label} for column, label in (labels or {}).items()]
    return {"gridSettings": {"formatters": list(formatters), "filter": True, "labelSettings": shown}}


def format_column(column: str, formatter: int, **options: Json) -> Json:
    return {"columnMatch": f"^{column}$", "formatter": formatter, **({"formatOptions": options} if options else {})}


def link_column(column: str, id_column: str, target: str) -> Json:
    """Return the format of a column whose cells open the end-to-end transaction of the row that `id_column` names."""
    return {
        "columnMatch": f"^{column}$",
        "formatter": PLAIN,
        "formatOptions": {"linkColumn": id_column, "linkTarget": target},
        "tooltipFormat": {"tooltip": "End-to-end transaction"},
    }


def make_chart(unit: int | None = None, minimum: float | None = None) -> Mapping[str, Json]:
    """Return the settings of a chart with a line for each job."""
    axis: dict[str, Json] = (
        {} if unit is None else {"numberFormatSettings": {"unit": unit, "options": {"style": "decimal"}}}
    )
    if minimum is not None:
        axis["min"] = minimum
    return {"chartSettings": {"showLegend": True, "ySettings": axis}}


MILLISECONDS, PERCENT, COUNT, SECONDS = 23, 1, 17, 24
"""Units of numbers."""
