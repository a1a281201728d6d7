"""The page of an incident at /api/dashboard/incidents/{id}, to which the link of a message leads.

Registered by scheduler.api.dashboard.pages.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import INCIDENTS_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.routes.alerting.incidents import IncidentId
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.queries.alerting.deliveries import DeliveryState

DELIVERY_WORDS: Final = {
    DeliveryState.UNDELIVERED: "not delivered",
    DeliveryState.FAILING: "failing, will retry",
    DeliveryState.WAITING: "is being sent",
    DeliveryState.DIGEST: "in the digest of",
    DeliveryState.DISCARDED: "discarded",
    DeliveryState.MOVED: "moved",
    DeliveryState.DELIVERED: "notified",
}
MORNING: Final = time(9)
"""Of the user's time zone: the end of a snooze until tomorrow."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(f"{INCIDENTS_PATH}/{{incident_id}}")
async def show_incident(request: Request, uses: ServicesDep, incident_id: IncidentId) -> Response:
    """Show the page."""
    report = await uses.incident_reports.read_report(incident_id)
    incident = report.view.incident
    now = uses.clock.now().astimezone(find_preferences(request).zone)
    return await respond(
        request,
        uses,
        "incident.html",
        page="incidents",
        report=report,
        incident=incident,
        delivery_words=DELIVERY_WORDS,
        tags=report.subject.tags or report.history.tags,
        tomorrow=find_morning(now),
    )


def find_morning(now: datetime) -> datetime:
    """Return 09:00 of the next day in the zone of `now`."""
    return datetime.combine(now.date() + timedelta(days=1), MORNING, now.tzinfo)
