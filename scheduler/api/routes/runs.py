"""The route that cancels a run."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, Response

from scheduler.api.dependencies import RunId, ServicesDep, Wait, parse_wait, reject_unknown_query
from scheduler.api.models.runs import RunModel, run_path
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.api.routes.jobs import POLL_RETRY_AFTER
from scheduler.audit import ChangeSource
from scheduler.stores.runs.repository import RunState

DEFAULT_CANCEL_WAIT = 1.0
"""Seconds within which a run of this process is usually recorded as cancelled."""

router = APIRouter(
    prefix="/api/runs/{run_id}",
    tags=["runs"],
    responses=PROBLEM_RESPONSES,
    dependencies=[Depends(reject_unknown_query)],
)


@router.post(
    "/cancel",
    responses={
        200: {"description": "The cancelled run"},
        202: {
            "model": RunModel,
            "description": "The run is still running and ends within seconds",
            "headers": {
                "Operation-Location": {"description": "URL of the run", "schema": {"type": "string"}},
                "Retry-After": {"description": "Seconds after which to poll", "schema": {"type": "string"}},
            },
        },
    },
)
async def cancel_run(uses: ServicesDep, response: Response, run_id: RunId, wait: Wait = None) -> RunModel:
    """Cancel a queued or running run. 409 if it is finished.

    Its attempts are stored, and its outcome is `cancelled`. Another process cancels its run within a few seconds.
    """
    seconds = DEFAULT_CANCEL_WAIT if wait is None else parse_wait(wait)
    record = await uses.operations.cancellations.cancel(run_id, source=ChangeSource.API, wait=seconds)
    if record.state is not RunState.FINISHED:
        response.status_code = HTTPStatus.ACCEPTED
        response.headers["Operation-Location"] = run_path(run_id)
        response.headers["Retry-After"] = POLL_RETRY_AFTER
    return RunModel.from_record(record)
