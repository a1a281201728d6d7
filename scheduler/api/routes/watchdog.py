"""The route for the watchdog's report: overdue jobs, the queue, open runs, dead letters, the store."""

from __future__ import annotations

from scheduler.api.models.watchdog import WatchdogModel
from scheduler.api.routing import ApiRouter, ServicesDep

router = ApiRouter("health")


@router.read("/api/watchdog")
async def get_watchdog(services: ServicesDep) -> WatchdogModel:
    """Return the latest check of the watchdog, made every 30 s, in the Functions host at each tick."""
    return WatchdogModel.from_watchdog_report(await services.watchdog.latest_report(), services.clock.now())
