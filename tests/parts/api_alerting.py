"""Stores the incident, the silence, the window and the undelivered notification that examples of routes name."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.alerting.alert import Alert, AlertStatus
from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.suppression.windows import ExplicitSelector, MaintenanceWindow, RequestedWindow, Silence
from jobs.incidents.values import (
    AlertKey,
    Announcement,
    Incident,
    IncidentStatus,
    Member,
    Notification,
    TransitionKind,
)
from jobs.notifications.port import OutboxChanges, UndeliveredNotification
from scheduler.api.description.examples import RequestExample
from scheduler.stores.alerting.engine import EngineMoved
from scheduler.stores.alerting.suppressions import SUPPRESSIONS_TABLE
from scheduler.stores.port import Delete, RowChanged, RowExists, Store
from scheduler.stores.repositories import Repositories

INCIDENT_ID = SUPPRESSION_ID = "1795856400000-5f2c1d9b"
CHANNEL = "team-teams"
_HOUR = timedelta(hours=1)


async def prepare_alerting(store: Store, request: RequestExample, job: str, now: datetime) -> None:
    """Let what the request names exist, in a state in which the request is accepted."""
    stored = Repositories(store)
    with suppress(RowChanged, RowExists, EngineMoved):  # another request has prepared the same
        if "{incident_id}" in request.template:
            await _store_incident(stored, job, now)
        if "{channel}" in request.template:
            await _store_undelivered(stored, now)
        start = now + _HOUR if request.method == "DELETE" else now - _HOUR
        if "{silence_id}" in request.template:
            silence = Silence(
                id=SUPPRESSION_ID,
                select=ExplicitSelector(jobs=(job,)),
                starts_at=start,
                ends_at=start + 2 * _HOUR,
                author="local:test",
                created_at=now - _HOUR,
            )
            await _delete_suppressions(store, "silences")
            await stored.silences.insert(silence)
        if "{window_id}" in request.template:
            keys = {"name": "rollout", "from": start.isoformat(), "for": "2h", "select": {"jobs": job}}
            window = MaintenanceWindow.model_validate(keys)
            requested = RequestedWindow(id=SUPPRESSION_ID, window=window, author="local:test", created_at=now - _HOUR)
            await _delete_suppressions(store, "windows")
            await stored.requested_windows.insert(requested)


async def _store_incident(stored: Repositories, job: str, now: datetime) -> None:
    """Without a firing alert the next pass resolves it."""
    key = AlertKey(job, "failed")
    alert = Alert(job, "failed", AlertStatus.FIRING, 1, now, now, now, "3 of 3 runs failed")
    await stored.alert_rows.write(alert, (await stored.alert_rows.read(key)).etag)
    member = Member(key, 1, "down", 20, now, now, "3 of 3 runs failed")
    announced = (Announcement(CHANNEL, 1),)
    # A number that no transition of an earlier request has.
    found = await stored.incident_log.find(INCIDENT_ID)
    number = 1 if found is None else found.number
    incident = Incident(INCIDENT_ID, number, IncidentStatus.OPEN, now, (member,), key, announced=announced)
    state = await stored.engine_rows.read()
    await stored.engine_rows.write(state.head, now, [IncidentStep(None, incident)])


async def _store_undelivered(stored: Repositories, now: datetime) -> None:
    """A pass of the engine can change the channel between the two steps."""
    said = Notification(INCIDENT_ID, 1, TransitionKind.OPENED, CHANNEL, now)
    letter = UndeliveredNotification(said, (CHANNEL,), now, "Expected status 202, got 503.")
    for _ in range(10):
        state = await stored.outbox_rows.read_channel(CHANNEL)
        with suppress(RowChanged):
            await stored.outbox_rows.commit(OutboxChanges(replace(state, given_up=1), dead_letters=(letter,)))
            return


async def _delete_suppressions(store: Store, partition: str) -> None:
    """Delete the prepared one, also if it has been moved."""
    for each in (partition, f"ended-{partition}"):
        row = await store.get_row(SUPPRESSIONS_TABLE, each, SUPPRESSION_ID)
        if row is not None:
            await store.apply(Delete(SUPPRESSIONS_TABLE, each, SUPPRESSION_ID, row.etag))
