"""The route that lists the entries of a job's health documents."""

from __future__ import annotations

from scheduler.api.models.states.health_entries import HealthEntryListModel
from scheduler.api.routing import ApiRouter, CallerDep, JobName, ServicesDep

router = ApiRouter("changes", by_tag=True)


@router.read("/api/jobs/{name}/health-entries")
async def list_health_entries(services: ServicesDep, caller: CallerDep, name: JobName) -> HealthEntryListModel:
    """List the entries of the health documents of a job: what each reports, since when, and how often it failed."""
    history = await services.changes.read_health_history(caller.principal, name)
    return HealthEntryListModel.from_health_history(history, services.clock.now())
