"""The page of a job's schedule at /api/dashboard/jobs/{name}/plan: its due instants, and the jobs before and after it
as a diagram, which the server draws as SVG.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from jobs.schedules import Schedule, zone_of
from scheduler.api.dashboard.job_frame import respond_job
from scheduler.api.dashboard.readers import share_page
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.routing import ApiRouter, JobName, ServicesDep
from scheduler.catalog.catalog import JobSnapshot
from scheduler.features.jobs.queries import JobAndRunQueries, JobView

LEVELS: Final = 2
MAX_IN_COLUMN: Final = 8
NODE_WIDTH, NODE_HEIGHT = 190, 48
_COLUMN_GAP, _ROW_GAP = 56, 14
_MAX_NAME: Final = 24


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """`text`: the name as far as it fits. Pixels from the left and the top."""

    name: str
    text: str
    left: int
    top: int
    is_center: bool


@dataclass(frozen=True, slots=True)
class DependencyDiagram:
    """`edges`: paths from a job to one that depends on it. `omitted`: jobs for which there is no space."""

    nodes: Sequence[DiagramNode]
    edges: Sequence[str]
    omitted: int
    width: int
    height: int


def draw_dependencies(
    name: str, parents: Callable[[str], Sequence[str]], dependents: Callable[[str], Sequence[str]]
) -> DependencyDiagram | None:
    """Return the diagram; None of a job without dependencies."""
    columns, omitted = _list_columns(name, parents, dependents)
    if len(columns) == 1:
        return None
    highest = max(map(len, columns.values()))
    height = highest * (NODE_HEIGHT + _ROW_GAP) - _ROW_GAP
    first = min(columns)
    nodes = {
        job: _place(job, column - first, row, height - len(jobs) * (NODE_HEIGHT + _ROW_GAP) + _ROW_GAP, job == name)
        for column, jobs in columns.items()
        for row, job in enumerate(jobs)
    }
    edges = [
        _draw_edge(nodes[parent], node)
        for job, node in nodes.items()
        for parent in parents(job)
        if parent in nodes and nodes[parent].left < node.left
    ]
    width = len(columns) * (NODE_WIDTH + _COLUMN_GAP) - _COLUMN_GAP
    return DependencyDiagram(list(nodes.values()), edges, omitted, width, height)


def _list_columns(
    name: str, parents: Callable[[str], Sequence[str]], dependents: Callable[[str], Sequence[str]]
) -> tuple[Mapping[int, Sequence[str]], int]:
    """Return the jobs of each column, 0 for the job itself, and the number of those that are omitted."""
    columns: dict[int, Sequence[str]] = {0: [name]}
    placed, omitted = {name}, 0
    for step, follow in ((-1, parents), (1, dependents)):
        level: Sequence[str] = [name]
        for distance in range(1, LEVELS + 1):
            new = _list_new((other for job in level for other in follow(job)), placed)
            if not new:
                break
            placed.update(new)
            level = new[:MAX_IN_COLUMN]
            omitted += len(new) - len(level)
            columns[step * distance] = level
    return dict(sorted(columns.items())), omitted


def _list_new(names: Iterable[str], placed: set[str]) -> list[str]:
    return sorted({name for name in names if name not in placed})


def _place(name: str, column: int, row: int, free: int, is_center: bool) -> DiagramNode:
    text = name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    top = free // 2 + row * (NODE_HEIGHT + _ROW_GAP)
    return DiagramNode(name, text, column * (NODE_WIDTH + _COLUMN_GAP), top, is_center)


def _draw_edge(parent: DiagramNode, node: DiagramNode) -> str:
    x1, y1 = parent.left + NODE_WIDTH, parent.top + NODE_HEIGHT // 2
    x2, y2 = node.left, node.top + NODE_HEIGHT // 2
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2 - 6} {y2}"


@dataclass(frozen=True, slots=True)
class Timetable:
    """`english`: the schedule as a sentence. `zone`: name of its time zone, empty for UTC.

    `upcoming`: due instants in UTC, each with its text in local time.
    """

    english: str
    zone: str
    upcoming: Sequence[tuple[datetime, str]]


def create_timetable(view: JobView, queries: JobAndRunQueries, count: int) -> Timetable | None:
    """Return the timetable; None for a job that is disabled or has no schedule."""
    job = view.entry.job
    if job.schedule is None or not job.enabled:
        return None
    from jobs.schedules.explanations import explain_schedule  # imported only when a page is requested

    upcoming = [(due, _local_text(due, job.schedule)) for due in queries.next_due(view, count)]
    zone = zone_of(job.schedule)
    return Timetable(explain_schedule(job.schedule), zone.name if zone is not None else "", upcoming)


def _local_text(due: datetime, schedule: Schedule) -> str:
    zone = zone_of(schedule)
    local = due if zone is None else due.astimezone(zone.info)
    fraction = f".{local.microsecond // 1000:03}" if local.microsecond else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {local:%Z}"


MAX_NEXT_RUNS: Final = 10
MAX_NAMES: Final = 30
"""Jobs of a list next to the diagram."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}/plan")
@share_page
async def show_plan(request: Request, services: ServicesDep, name: JobName) -> Response:
    """Show the page."""
    view = await services.queries.view_job(name)
    diagram = _draw(services.queries.current_jobs(), name)
    names = [node.name for node in diagram.nodes] if diagram is not None else []
    return await respond_job(
        request,
        services,
        view,
        "plan",
        timetable=create_timetable(view, services.queries, MAX_NEXT_RUNS),
        diagram=diagram,
        views=await _read_views(services.queries, names),
        node_size=(NODE_WIDTH, NODE_HEIGHT),
        max_names=MAX_NAMES,
    )


def _draw(jobs: JobSnapshot, name: str) -> DependencyDiagram | None:
    def parents(job: str) -> Sequence[str]:
        entry = jobs.find_job(job)
        return [] if entry is None else [one.job for one in entry.job.depends_on if one.job in jobs]

    return draw_dependencies(name, parents, jobs.graph.dependents)


async def _read_views(queries: JobAndRunQueries, names: Sequence[str]) -> Mapping[str, JobView]:
    if not names:
        return {}
    page = await queries.list_jobs(limit=len(names), among=sorted(names))
    return {view.entry.job.name: view for view in page.jobs}
