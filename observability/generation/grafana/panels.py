"""Dashboards of Grafana from short descriptions of their panels, by Grafana's own models.

Used by the dashboards of this package. The id of a panel follows from its key, so that a new panel changes no other.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from observability.generation.document import GeneratedDocument, ItemKey, Json
from observability.generation.portfolio import Portfolio

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.variants import Dataquery
    from grafana_foundation_sdk.models.dashboard import DataSourceRef

PanelKind = Literal["stat", "timeseries", "table"]
Colour = Literal["green", "yellow", "red"]

DASHBOARD_KIND = "dashboard"
ITEM_KEYS: tuple[ItemKey, ...] = (("id",), ("refId",), ("name",), ("matcher", "options"), ("title",))
_GRID_WIDTH = 24
_HEIGHTS: dict[PanelKind, int] = {"stat": 4, "timeseries": 8, "table": 9}


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """A query and the name of its series in the legend, such as `{{job_name}}`."""

    text: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class PanelDescription:
    """A panel. `key`: never changes. `width`: of 24. `thresholds`: the colour from each value on.

    `renames`: columns of a table, by their name in the answer.
    """

    key: str
    kind: PanelKind
    title: str
    queries: tuple[PanelQuery, ...]
    description: str = ""
    unit: str = "short"
    width: int = 8
    thresholds: tuple[tuple[float, Colour], ...] = ()
    first_colour: Colour = "green"
    max_value: float | None = None
    renames: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PanelRow:
    """A title and the panels below it."""

    title: str
    panels: tuple[PanelDescription, ...]


@dataclass(frozen=True, slots=True)
class DashboardVariable:
    """A choice above the dashboard, which starts with all values. `query`: lists the values; None: a text field.

    `all_value`: what stands for all values in queries; None: the list of them.
    """

    name: str
    label: str
    query: str | dict[str, object] | None
    all_value: str | None = ".*"
    description: str = ""


@dataclass(frozen=True, slots=True)
class DashboardDescription:
    """A dashboard. `key`: part of its uid. `source_type`: the data source's plug-in, which a variable selects."""

    key: str
    title: str
    description: str
    source_type: str
    variables: tuple[DashboardVariable, ...]
    rows: tuple[PanelRow, ...]


def make_dashboard_document(described: DashboardDescription, portfolio: Portfolio) -> GeneratedDocument:
    """Return the document of a dashboard."""
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import DashboardCursorSync

    builder = (
        builders.Dashboard(f"{described.title} ({portfolio.environment})")
        .uid(make_uid(described.key, portfolio))
        .description(described.description)
        .tags(["generated", "scheduler", portfolio.environment])
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("1m")
        .time("now-6h", "now")
        .with_variable(builders.DatasourceVariable("datasource").label("Data source").type(described.source_type))
    )
    for variable in described.variables:
        builder = builder.with_variable(_build_variable(variable, described.source_type))
    for row in described.rows:
        builder = builder.with_row(builders.Row(row.title).id(make_panel_id(f"row {row.title}")))
        for panel in row.panels:
            builder = builder.with_panel(_build_panel(panel, described.source_type))
    value: Json = json.loads(JSONEncoder().encode(builder.build()))
    return GeneratedDocument(f"dashboards/{described.key}.json", value, DASHBOARD_KIND, ITEM_KEYS)


def make_uid(key: str, portfolio: Portfolio) -> str:
    """Return the uid of a dashboard, at most 40 characters: the same for the same service and environment."""
    place = zlib.crc32(f"{portfolio.service} {portfolio.environment}".encode())
    return f"scheduler-{key}-{place:08x}"


def make_panel_id(key: str) -> int:
    """Return a positive number below 2^31."""
    return zlib.crc32(key.encode()) & 0x7FFFFFFF or 1


def _source(source_type: str) -> DataSourceRef:
    from grafana_foundation_sdk.models.dashboard import DataSourceRef

    return DataSourceRef(type_val=source_type, uid="${datasource}")


def _build_variable(variable: DashboardVariable, source_type: str) -> Any:
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

    if variable.query is None:
        text = builders.TextBoxVariable(variable.name).label(variable.label).description(variable.description)
        return text.default_value("")
    builder = (
        builders.QueryVariable(variable.name)
        .label(variable.label)
        .query(variable.query)
        .datasource(_source(source_type))
        .multi(True)
        .include_all(True)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
    return builder if variable.all_value is None else builder.all_value(variable.all_value)


def _build_panel(panel: PanelDescription, source_type: str) -> Any:
    from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

    builder: Any = (
        _make_builder(panel)
        .id(make_panel_id(panel.key))
        .title(panel.title)
        .description(panel.description)
        .datasource(_source(source_type))
        .unit(panel.unit)
        .height(_HEIGHTS[panel.kind])
        .span(panel.width)
        .thresholds(_build_thresholds(panel))
    )
    if panel.max_value is not None:
        builder = builder.min(0).max(panel.max_value)
    for ref_id, query in _with_ref_ids(panel.queries):
        builder = builder.with_target(_build_query(ref_id, query, panel.kind, source_type))
    if panel.renames:
        options = {"excludeByName": {"Time": True}, "renameByName": panel.renames}
        if len(panel.queries) > 1:
            builder = builder.with_transformation(DataTransformerConfig(id_val="merge", options={}))
        builder = builder.with_transformation(DataTransformerConfig(id_val="organize", options=options))
    return builder


def _make_builder(panel: PanelDescription) -> Any:
    from grafana_foundation_sdk.builders import common, stat, table, timeseries
    from grafana_foundation_sdk.models.common import BigValueGraphMode, LegendDisplayMode, LegendPlacement

    if panel.kind == "stat":
        reduce = common.ReduceDataOptions().calcs(["lastNotNull"])
        return stat.Panel().graph_mode(BigValueGraphMode.NONE).reduce_options(reduce).no_value("0")
    if panel.kind == "table":
        return table.Panel().show_header(True)
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return timeseries.Panel().fill_opacity(8).legend(legend.show_legend(True))


def _build_thresholds(panel: PanelDescription) -> Any:
    from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
    from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

    steps = [Threshold(value=None, color=panel.first_colour)]
    steps += [Threshold(value=value, color=colour) for value, colour in panel.thresholds]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _build_query(ref_id: str, query: PanelQuery, kind: PanelKind, source_type: str) -> Builder[Dataquery]:
    from grafana_foundation_sdk.builders import azuremonitor, prometheus
    from grafana_foundation_sdk.models.azuremonitor import ResultFormat
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

    if source_type == "prometheus":
        query_builder = prometheus.Dataquery().ref_id(ref_id).expr(query.text).datasource(_source(source_type))
        if kind == "table":
            return query_builder.instant().format(PromQueryFormat.TABLE)
        return query_builder.instant() if kind == "stat" else query_builder.range().legend_format(query.legend)
    is_series = kind == "timeseries"
    logs = (
        azuremonitor.AzureLogsQuery()
        .query(query.text)
        .resources(["$resource"])
        .result_format(ResultFormat.TIME_SERIES if is_series else ResultFormat.TABLE)
    )
    return (
        azuremonitor.AzureMonitorQuery()
        .ref_id(ref_id)
        .query_type("Azure Log Analytics")
        .datasource(_source(source_type))
        .azure_log_analytics(logs)
    )


def _with_ref_ids(queries: Sequence[PanelQuery]) -> Iterator[tuple[str, PanelQuery]]:
    yield from zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", queries, strict=False)
