"""The page of a run at /api/dashboard/runs/{run_id}: its outcome, its attempts, and what differs from a good run.

Details of an attempt, such as steps or a certificate, appear under their names in the API. Registered by
scheduler.api.dashboard.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from jobs.formats.trace_ids import format_trace_id
from jobs.runs import Run, Ticket
from scheduler.api.dashboard.jobs.waterfall import PHASE_NAMES, draw_waterfall
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.models.runs import AttemptModel
from scheduler.api.problems import ApiError
from scheduler.api.routing import ApiRouter, RunId, ServicesDep
from scheduler.catalog.catalog import JobSnapshot
from scheduler.queries.history.run_comparison import compare_runs
from scheduler.queries.history.run_context import read_run_context

_PHASES = {
    "dns_ms": "DNS",
    "connect_ms": "Connect",
    "tls_ms": "TLS",
    "first_byte_ms": "First byte",
    "total_ms": "Total",
}
_SHOWN = frozenset({"number", "started_at", "status_code", "error", "message", "phases", "failures", "wait_ms", "body"})
"""Fields of an attempt that the page shows elsewhere."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(f"{DASHBOARD_PATH}/runs/{{run_id}}")
async def show_run(request: Request, uses: ServicesDep, run_id: RunId) -> Response:
    """Show the page of a run in any state."""
    record = await uses.queries.find_run(run_id)
    if record is None:
        raise ApiError(HTTPStatus.NOT_FOUND, f"There is no run {run_id!r}; the retention may have removed it.")
    run, jobs = record.run, uses.queries.current_jobs()
    context = await read_run_context(uses.queries, uses.incidents, record, uses.clock.now())
    return await respond(
        request,
        uses,
        "run.html",
        page="runs",
        record=record,
        ticket=record.ticket,
        run=run,
        job_exists=record.ticket.job in jobs,
        cause=_parent_run_id(record.ticket, jobs),
        phases=_used_phases(run),
        waterfall=None if run is None else draw_waterfall(run),
        phase_names=PHASE_NAMES,
        context=context,
        differences=compare_runs(run, context.good) if run is not None and context.good is not None else (),
        details=_other_details(run),
        trace_id=format_trace_id(record.ticket.id),
    )


def other_values(stored: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return the values under unknown names that are not empty."""
    return {
        name: left
        for name, value in stored.items()
        if name not in known and not _is_empty(left := _without_empty(value))
    }


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        return other_values(value, ())
    if isinstance(value, list):
        return [_without_empty(one) for one in value]
    return value


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})


def _parent_run_id(ticket: Ticket, jobs: JobSnapshot) -> str | None:
    """Return the run that caused this one, if the correlation id is the id of another run."""
    other = ticket.correlation_id
    return other if other != ticket.id and other.rpartition("@")[0] in jobs else None


def _used_phases(run: Run | None) -> dict[str, str]:
    """Return the phases that an attempt of the run had, with their headings."""
    attempts = run.attempts if run is not None else ()
    return {
        name: heading
        for name, heading in _PHASES.items()
        if any(getattr(attempt.phases, name) is not None for attempt in attempts)
    }


def _other_details(run: Run | None) -> list[tuple[int, dict[str, Any]]]:
    """Return the details of each attempt that has some, with its number."""
    found = []
    for attempt in run.attempts if run is not None else ():
        values = other_values(AttemptModel.from_attempt(attempt).model_dump(mode="json"), _SHOWN)
        details = values.pop("details", {})
        if values := values | details:
            found.append((attempt.number, values))
    return found
