"""The route for the uptime of a job."""

from __future__ import annotations

from scheduler.api.models.statistics.uptime import UptimeModel
from scheduler.api.routing import ApiRouter, JobName, ServicesDep

router = ApiRouter("jobs", by_tag=True)


@router.read("/api/jobs/{name}/uptime")
async def get_uptime(services: ServicesDep, name: JobName) -> UptimeModel:
    """Return the ratio and mean time of successful runs in 24 h to 365 days, and the downtime of three months."""
    return UptimeModel.from_uptime(await services.uptimes.read_uptime(name))
