"""Cancelling a run."""

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
"""Seconds for a run of this process to be recorded as cancelled."""

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
            "description": "The run is still running; it is ended within seconds",
            "headers": {
                "Operation-Location": {"description": "Where the run is found", "schema": {"type": "string"}},
                "Retry-After": {"description": "Seconds until it is worth asking", "schema": {"type": "string"}},
            },
        },
    },
)
async def cancel_run(uses: ServicesDep, response: Response, run_id: RunId, wait: Wait = None) -> RunModel:
    """End a run that is queued or running. 409 if it is finished.

    The attempts it made are kept, its outcome is `cancelled`. A run of another process is ended within a few seconds.
    """
    seconds = DEFAULT_CANCEL_WAIT if wait is None else parse_wait(wait)
    record = await uses.operations.cancellations.cancel(run_id, source=ChangeSource.API, wait=seconds)
    if record.state is not RunState.FINISHED:
        response.status_code = HTTPStatus.ACCEPTED
        response.headers["Operation-Location"] = run_path(run_id)
        response.headers["Retry-After"] = POLL_RETRY_AFTER
    return RunModel.from_record(record)
