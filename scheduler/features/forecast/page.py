"""The page /api/dashboard/schedule: what is due in the next 24 h or 7 d, what changes it, and what is not due.

Read-only, and complete without a script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import Query, Request
from fastapi.responses import Response

from scheduler.api.dashboard.readers import readers_of, share_page
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import SCHEDULE_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.parameters import KindsParameter, NamesParameter, TagsParameter, parse_job_filters
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.features.forecast.charts import LoadView, create_load_view
from scheduler.features.forecast.counting import CellJob
from scheduler.features.forecast.grid import ForecastRange
from scheduler.features.forecast.heat_map import HeatMap, create_heat_map, format_cell_time, parse_cell
from scheduler.features.forecast.queries import Forecast, ForecastLoad, LoadReader
from scheduler.features.jobs.selection import JobSelection, check_kinds
from scheduler.services import Services
from scheduler.stores.port import StoreError

MAX_UPCOMING: Final = 50
"""Runs listed as the next ones."""
JOBS_PER_PAGE: Final = 50
"""Jobs of a cell on a page."""
MAX_IDLE: Final = 50
"""Jobs listed as not due."""
INSTANTS_OF_JOB: Final = 3
"""Instants listed of a job in a cell."""

router = ApiRouter(in_schema=False, by_tag=True)


@dataclass(frozen=True, slots=True)
class CellPage:
    """A page of the jobs of a cell. `number`: from 1 on; `time`: of the cell."""

    time: str
    jobs: Sequence[CellJob]
    total: int
    number: int

    @property
    def has_next(self) -> bool:
        return self.number * JOBS_PER_PAGE < self.total


@dataclass(frozen=True, slots=True)
class ScheduleFilters:
    """The filters of the URL. `name` without a wildcard is a part of a name.

    `rare`: without frequent jobs; None: if all jobs together are alike in every cell.
    """

    name: Sequence[str] = ()
    kind: Sequence[str] = ()
    tag: Sequence[str] = ()
    rare: bool | None = None

    @property
    def selection(self) -> JobSelection:
        names = [each if "*" in each or "?" in each else f"*{each}*" for each in self.name]
        return parse_job_filters(names, list(self.kind), list(self.tag), [], [])

    def path(self, chosen_range: ForecastRange, *, rare: bool | None = None) -> str:
        """Return the path of this page with these filters."""
        pairs = [("range", str(chosen_range))]
        chosen_jobs = self.rare if rare is None else rare
        pairs += [] if chosen_jobs is None else [("jobs", "rare" if chosen_jobs else "all")]
        for key in ("name", "kind", "tag"):
            pairs += [(key, value) for value in getattr(self, key)]
        return f"{SCHEDULE_PATH}?{urlencode(pairs)}"


@router.read(SCHEDULE_PATH)
@share_page
async def show_schedule(
    request: Request,
    services: ServicesDep,
    range: ForecastRange = ForecastRange.DAY,
    name: NamesParameter = [],  # noqa: B006
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
    jobs: Literal["rare", "all"] | None = None,
    cell: Annotated[str, Query(max_length=20)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show the page. `jobs=rare`: without frequent jobs; without `jobs`, where these hide the others.

    `cell`: list the jobs of this cell, `page` of them.
    """
    given = [tuple(filter(None, values)) for values in (name, kind, tag)]  # a form sends empty fields
    filters = ScheduleFilters(given[0], given[1], given[2], rare=None if jobs is None else jobs == "rare")
    selection, zone = filters.selection, find_preferences(request).zone
    forecast = await readers_of(request, services).forecast.read(range, zone, selection)
    counts = forecast.counts
    load = await _read_load(readers_of(request, services).load, forecast)
    heat_map = _draw_heat_map(forecast, load, filters)
    return await respond(
        request,
        services,
        "schedule.html",
        page="schedule",
        filters=filters,
        chosen=range,
        kinds=check_kinds(),
        schedule_path=SCHEDULE_PATH,
        forecast=forecast,
        heat_map=heat_map,
        selected=cell,
        cell=await _list_cell(forecast, cell, page, only_rare=heat_map.is_rare),
        instants=INSTANTS_OF_JOB,
        upcoming=await forecast.list_upcoming(services.clock.now(), MAX_UPCOMING),
        idle=counts.idle[:MAX_IDLE],
        idle_reasons=Counter(each.reason for each in counts.idle),
        load=_view_load(services, forecast, load, heat_map),
        load_error=str(load) if isinstance(load, StoreError) else "",
        is_limited=services.is_limited,
        has_jobs=bool(len(services.catalog)),
    )


def _draw_heat_map(forecast: Forecast, load: ForecastLoad | StoreError | None, filters: ScheduleFilters) -> HeatMap:
    cells = load.cells if isinstance(load, ForecastLoad) else None
    return create_heat_map(forecast, cells, only_rare=filters.rare)


def _view_load(
    services: Services, forecast: Forecast, load: ForecastLoad | StoreError | None, heat_map: HeatMap
) -> LoadView | None:
    if not isinstance(load, ForecastLoad):
        return None
    return create_load_view(forecast, load, services.watchdog.read_places(), only_rare=heat_map.is_rare)


async def _read_load(reader: LoadReader, forecast: Forecast) -> ForecastLoad | StoreError | None:
    try:
        return await reader.read(forecast)
    except StoreError as error:
        return error


async def _list_cell(forecast: Forecast, text: str, page: int, *, only_rare: bool) -> CellPage | None:
    number = parse_cell(text, forecast.grid) if text else None
    if number is None:
        return None
    jobs = await forecast.list_cell(number, only_rare=only_rare)
    shown = jobs[(page - 1) * JOBS_PER_PAGE : page * JOBS_PER_PAGE]
    return CellPage(format_cell_time(forecast.grid.cells[number], forecast.grid.zone.info), shown, len(jobs), page)
