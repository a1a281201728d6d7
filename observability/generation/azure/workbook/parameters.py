"""The parameters of the workbook, and the scope of its queries that follows from them. Pure. Called by
observability.generation.azure.workbook.workbook.

The text `*` means all, so that a workbook also shows the jobs that were added since it was generated. A group is chosen
by an id, because its name may contain quotes; a hidden parameter has the names of its jobs.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from observability import names
from observability.generation.azure.workbook.items import LOGS, PARAMETERS, RESOURCE_TYPE
from observability.generation.core.document import Json
from observability.generation.core.portfolio import Portfolio
from observability.generation.kql.runs import select_runs
from observability.generation.kql.scheduler import list_roles
from observability.generation.kql.scope import QueryScope
from observability.generation.kql.text import make_table, pipe, quote

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
