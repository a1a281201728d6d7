"""Cancelling a run."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, Response

from scheduler.api.models import RunModel, run_path
from scheduler.api.parameters import RunId, Uses, Wait, only_known_parameters, seconds_to_wait
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.api.routes import POLL_AFTER
from scheduler.operations.audit import Way
from scheduler.stores.runs import RunState

USUAL_WAIT = 1.0
"""Seconds for a run of this process to be recorded as cancelled."""

router = APIRouter(
    prefix="/api/runs/{run_id}",
    tags=["runs"],
    responses=PROBLEM_RESPONSES,
    dependencies=[Depends(only_known_parameters)],
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
async def cancel_run(uses: Uses, response: Response, run_id: RunId, wait: Wait = None) -> RunModel:
    """End a run that is queued or running. 409 if it is finished.

    The attempts it made are kept, its outcome is `cancelled`. A run of another process is ended within a few seconds.
    """
    seconds = USUAL_WAIT if wait is None else seconds_to_wait(wait)
    record = await uses.operations.cancelling.cancel(run_id, way=Way.API, wait=seconds)
    if record.state is not RunState.FINISHED:
        response.status_code = HTTPStatus.ACCEPTED
        response.headers["Operation-Location"] = run_path(run_id)
        response.headers["Retry-After"] = POLL_AFTER
    return RunModel.of(record)
