"""The call of the API that restores how an incident is handled: the undo of an acknowledgement or a snooze.

A global of the templates (scheduler.api.dashboard.rendering.templates).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from jobs.formats.instants import format_iso_instant
from jobs.incidents.values import Incident


def find_restore_call(incident: Incident, now: datetime) -> tuple[str, Mapping[str, str] | None]:
    """Return method with path, and body, for what is in force now. The caller becomes its actor."""
    path = f"POST /api/incidents/{incident.id}"
    if incident.snoozed_until is not None and incident.snoozed_until > now:
        return f"{path}/snooze", {"until": format_iso_instant(incident.snoozed_until)}
    if incident.acknowledged_at is not None:
        return f"{path}/acknowledge", None
    return f"{path}/unacknowledge", None
