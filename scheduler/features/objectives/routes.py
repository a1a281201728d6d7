"""The routes of objectives: their budgets, and the statement of a month."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from scheduler.api.parameters import answer_invalid
from scheduler.api.routing import ApiRouter, Continuation, Limit, ServicesDep
from scheduler.features.objectives.models import ObjectiveList, ObjectiveModel, ObjectiveStatementModel
from scheduler.features.objectives.statements import STATEMENT_FIELDS, iterate_statement_rows
from scheduler.features.objectives.views import view_state, view_statement, view_states
from scheduler.features.statistics.exports import ExportFormat, export_lines
from scheduler.features.statistics.periods import MONTH_PATTERN, parse_month_span

router = ApiRouter("objectives", by_tag=True)

_Name = Annotated[
    str,
    Path(max_length=100, description="Name of its job, or its key in `objectives`", examples=["checkout-api"]),
]
_Month = Annotated[
    str, Query(pattern=MONTH_PATTERN, description="Calendar month in UTC, such as 2026-02", examples=["2026-02"])
]
_Format = Annotated[str, Query(pattern="^(json|csv)$", description="`json`, or `csv`: a row a job, then the sum")]
_RESPONSES = {200: {"model": ObjectiveStatementModel, "content": {"text/csv": {}}, "description": "The statement"}}


@router.read("/api/objectives")
async def list_objectives(services: ServicesDep, limit: Limit = 50, continuation: Continuation = None) -> ObjectiveList:
    """List the objectives by name, with what is left of their error budgets."""
    return view_states(*await services.objectives.read_page(limit=limit, after=continuation or ""))


@router.read("/api/objectives/{name}")
async def get_objective(services: ServicesDep, name: _Name) -> ObjectiveModel:
    """Return an objective: budget, burn rates, time to exhaustion, and how much is excluded."""
    return view_state(await services.objectives.read_state(name))


@router.read(
    "/api/objectives/{name}/statement",
    response_class=Response,
    responses=_RESPONSES,
    problems=(HTTPStatus.UNPROCESSABLE_ENTITY,),
)
async def get_statement(services: ServicesDep, name: _Name, month: _Month, format: _Format = "json") -> Response:
    """Return what an objective attained in a calendar month, by job, with everything that was excluded."""
    within = answer_invalid(lambda: parse_month_span(month, services.clock.now()))
    statement = await services.objectives.read_statement(name, month, within)
    if format == "json":
        body = view_statement(statement).model_dump_json(by_alias=True)
        return Response(body, media_type="application/json")
    lines = export_lines(STATEMENT_FIELDS, iterate_statement_rows(statement), ExportFormat.CSV, services.turns)
    headers = {"Content-Disposition": f'attachment; filename="{name}-{month}.csv"'}
    return Response("".join([chunk async for chunk in lines]), media_type="text/csv; charset=utf-8", headers=headers)
