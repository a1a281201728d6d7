"""The items of a workbook: texts, queries, links, groups, parameters. Pure.

Each item has a name, which is its identity when a person's changes are merged. The scope of the queries follows from
the parameters. The text `*` means all, so that a workbook also shows the jobs that were added since it was generated. A
group is chosen by an id, because its name may contain quotes; a hidden parameter has the names of its jobs.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from observability import names
from observability.generation.document import Json
from observability.generation.kql.runs import QueryScope, make_table, pipe, quote, select_runs
from observability.generation.kql.scheduler import list_roles
from observability.generation.portfolio import Portfolio

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


_NAMESPACE = uuid.UUID("6d1a9f0c-6c0e-5b53-9a55-6a3f0f0d7b10")
_TEXT, _DROPDOWN, _TIME_RANGE = 1, 2, 4
"""Types of parameters."""
_HOUR_MS = 3_600_000
_GROUP_JOBS = "Jobs of the group"
_TIME_RANGES_MS = tuple(hours * _HOUR_MS for hours in (1, 4, 12, 24, 72, 168, 336, 720))

MAX_SELECTION_ROWS = 5000
"""Rows of the table of groups, one for each job of each group: about 0.4 MB."""

ROLES = "'*' in ({Environment}) or cloud_RoleName in ({Environment})"
SELECTED = f"'*' in ({{GroupJobs}}) or {names.JOB_NAME} in ({{GroupJobs}})"
JOBS = f"('*' in ({{Job}}) or {names.JOB_NAME} in ({{Job}})) and ({SELECTED})"

SCOPE = QueryScope(time="timestamp {TimeRange}", step="{TimeRange:grain}", roles=ROLES, jobs=JOBS)
"""Of each query of the workbook."""

SAMPLE_VALUES = {
    "{TimeRange:grain}": "5m",
    "{TimeRange}": "> ago(1d)",
    "{Environment}": "'*'",
    "{Group}": "'*'",
    "{GroupJobs}": "'*'",
    "{Job}": "'*'",
    "{Percentile}": "95",
}
"""What the portal puts in place of each parameter, for example."""


def make_parameters(portfolio: Portfolio) -> Json:
    """Return the item with all parameters."""
    selections = list(_list_selections(portfolio))
    parameters = [
        _make_time_range(),
        _make_dropdown("Environment", "Environment", query=list_roles("timestamp {TimeRange}")),
        *_make_selection(selections),
        _make_dropdown("Job", "Job", query=_list_job_names()),
        _make_percentile(),
    ]
    content = {
        "version": "KqlParameterItem/1.0",
        "parameters": parameters,
        "style": "pills",
        "queryType": LOGS,
        "resourceType": RESOURCE_TYPE,
    }
    return {"type": PARAMETERS, "name": "parameters", "content": content}


def find_omitted_selections(portfolio: Portfolio) -> int:
    """Return the number of groups and tags that cannot be chosen, because the workbook would be too large."""
    return sum(1 for _ in _list_all_selections(portfolio)) - sum(1 for _ in _list_selections(portfolio))


def _list_selections(portfolio: Portfolio) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what can be chosen, and the names of its jobs, while they fit."""
    rows = 0
    for label, jobs in _list_all_selections(portfolio):
        rows += len(jobs)
        if rows > MAX_SELECTION_ROWS:
            return
        yield label, jobs


def _list_all_selections(portfolio: Portfolio) -> Iterator[tuple[str, Sequence[str]]]:
    for group, members in portfolio.groups.items():
        yield group, [job.name for job in members]
    for key in portfolio.tag_keys:
        for value in portfolio.tag_values(key):
            named = [job.name for job in portfolio.active_jobs if job.tags.get(key) == value]
            if named:
                yield f"{key}: {value}", named


def _make_id(label: str) -> str:
    return hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _make_parameter(name: str, label: str, kind: int, **settings: Any) -> Json:
    return {
        "id": str(uuid.uuid5(_NAMESPACE, name)),
        "version": "KqlParameterItem/1.0",
        "name": name,
        "label": label,
        "type": kind,
        **settings,
    }


def _make_time_range() -> Json:
    choices = {"selectableValues": [{"durationMs": each} for each in _TIME_RANGES_MS], "allowCustom": True}
    return _make_parameter(
        "TimeRange",
        "Time range",
        _TIME_RANGE,
        isRequired=True,
        value={"durationMs": 24 * _HOUR_MS},
        typeSettings=choices,
    )


def _make_dropdown(name: str, label: str, *, query: str = "", options: Sequence[tuple[str, str]] | None = None) -> Json:
    """Return a parameter of several values, all of them by default. `options`: values and labels; else a query."""
    source: dict[str, Any] = {"query": query, "queryType": LOGS, "resourceType": RESOURCE_TYPE}
    if options is not None:
        source = {"jsonData": json.dumps([{"value": value, "label": text} for value, text in options])}
    return _make_parameter(
        name,
        label,
        _DROPDOWN,
        isRequired=True,
        multiSelect=True,
        quote="'",
        delimiter=",",
        value=["value::all"],
        typeSettings={"additionalResourceOptions": ["value::all"], "selectAllValue": "*", "showDefault": False},
        timeContextFromParameter="TimeRange",
        **source,
    )


def _make_selection(selections: Sequence[tuple[str, Sequence[str]]]) -> Sequence[Json]:
    """Return the choice of groups and tags, and the hidden parameter; only that one if there is nothing to choose."""
    hidden: dict[str, Any] = {"isRequired": True, "isHiddenWhenLocked": True}
    if not selections:
        return [_make_parameter("GroupJobs", _GROUP_JOBS, _TEXT, **hidden, value="'*'")]
    options = [(_make_id(label), label) for label, _ in selections]
    query = _find_group_jobs(selections)
    return [
        _make_dropdown("Group", "Group or tag", options=options),
        _make_parameter(
            "GroupJobs", _GROUP_JOBS, _TEXT, **hidden, query=query, queryType=LOGS, resourceType=RESOURCE_TYPE
        ),
    ]


def _find_group_jobs(selections: Sequence[tuple[str, Sequence[str]]]) -> str:
    rows = ((quote(_make_id(label)), quote(name)) for label, jobs in selections for name in jobs)
    table = make_table({"Selection": "string", names.JOB_NAME: "string"}, rows)
    chosen = pipe(
        "Selections",
        "where Selection in ({Group})",
        f"summarize Names = make_set({names.JOB_NAME})",
        'project strcat("\'", strcat_array(Names, "\',\'"), "\'")',
    )
    return f"let Selections = {table};\nprint iff('*' in ({{Group}}), \"'*'\", toscalar({chosen}))"


def _list_job_names() -> str:
    scope = QueryScope(time=SCOPE.time, roles=ROLES, jobs=SELECTED)
    return pipe(select_runs(scope), f"summarize by {names.JOB_NAME}", f"order by {names.JOB_NAME} asc")


def _make_percentile() -> Json:
    options = [{"value": value, "label": f"p{value}", "selected": value == "95"} for value in ("50", "95", "99")]
    return _make_parameter(
        "Percentile", "Percentile", _DROPDOWN, isRequired=True, value="95", jsonData=json.dumps(options)
    )
