"""The page of a job's schedule and dependencies at /api/dashboard/jobs/{name}/plan. Registered by
scheduler.api.dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.jobs.dependency_diagram import (
    NODE_HEIGHT,
    NODE_WIDTH,
    DependencyDiagram,
    draw_dependencies,
)
from scheduler.api.dashboard.jobs.job_frame import respond_job
from scheduler.api.dashboard.jobs.timetable import create_timetable
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.routing import ApiRouter, JobName, ServicesDep
from scheduler.catalog.catalog import JobSnapshot
from scheduler.queries.jobs_and_runs import JobAndRunQueries
from scheduler.queries.overview.job_view import JobView

MAX_NEXT_RUNS: Final = 10
MAX_NAMES: Final = 30
"""Jobs of a list next to the diagram."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}/plan")
async def show_plan(request: Request, uses: ServicesDep, name: JobName) -> Response:
    """Show the page."""
    view = await uses.queries.view_job(name)
    diagram = _draw(uses.queries.current_jobs(), name)
    names = [node.name for node in diagram.nodes] if diagram is not None else []
    return await respond_job(
        request,
        uses,
        view,
        "plan",
        timetable=create_timetable(view, uses.queries, MAX_NEXT_RUNS),
        diagram=diagram,
        views=await _read_views(uses.queries, names),
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
