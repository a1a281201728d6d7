"""The routes that pause, resume, run and delete all jobs of a selection, and reset their circuits.

The name of the action stands where GET has the name of a job: no other POST has a path of this form, so a job can be
named like an action.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends

from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep
from scheduler.api.selections.models import (
    ActionReportModel,
    PauseSelectionRequest,
    ResetSelectionRequest,
    SelectionRequest,
)
from scheduler.operations.selected_jobs import SelectedJobActions

router = ApiRouter("jobs", by_tag=True)


async def get_actions(services: ServicesDep) -> SelectedJobActions:
    return SelectedJobActions(services.queries, services.circuits, services.operations)


ActionsDep = Annotated[SelectedJobActions, Depends(get_actions)]


@router.operate("/api/jobs/pause")
async def pause_jobs(actions: ActionsDep, caller: CallerDep, body: PauseSelectionRequest) -> ActionReportModel:
    """Pause all jobs of a selection. A job that is paused gets the new end and reason."""
    report = await actions.pause(body.parse(), until=body.until, reason=body.reason, caller=caller)
    return ActionReportModel.from_report(report, dry_run=body.dry_run)


@router.operate("/api/jobs/resume")
async def resume_jobs(actions: ActionsDep, caller: CallerDep, body: SelectionRequest) -> ActionReportModel:
    """End the pauses of all jobs of a selection."""
    report = await actions.resume(body.parse(), caller=caller)
    return ActionReportModel.from_report(report, dry_run=body.dry_run)


@router.operate("/api/jobs/run", status_code=HTTPStatus.ACCEPTED)
async def run_jobs(actions: ActionsDep, caller: CallerDep, body: SelectionRequest) -> ActionReportModel:
    """Start a run of each job of a selection, also of disabled and paused jobs."""
    report = await actions.run(body.parse(), caller=caller)
    return ActionReportModel.from_report(report, dry_run=body.dry_run)


@router.manage("/api/jobs/delete", method="POST")
async def delete_jobs(actions: ActionsDep, caller: CallerDep, body: SelectionRequest) -> ActionReportModel:
    """Delete all stored jobs of a selection, dependents first. A job of a file is `refused`, with its file and line."""
    report = await actions.delete(body.parse(), caller=caller)
    return ActionReportModel.from_report(report, dry_run=body.dry_run)


@router.operate("/api/jobs/reset-circuit")
async def reset_circuits(actions: ActionsDep, caller: CallerDep, body: ResetSelectionRequest) -> ActionReportModel:
    """Reset the circuits of all jobs of a selection. A circuit that several jobs share is reset once."""
    report = await actions.reset_circuits(body.parse(), reason=body.reason, caller=caller)
    return ActionReportModel.from_report(report, dry_run=body.dry_run)
