"""Events of the program that people look for in a chart: incidents, deployments, other jobs. Made by telemetry.

Each is a log event, a custom event of Application Insights, and an event of Datadog. The process that has stored a
change publishes it, so each is published at most once although several processes run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import Incident, Transition, TransitionKind
from observability import names
from observability.program_event import EventStatus, ProgramEvent

_INCIDENT_EVENTS: Final[Mapping[TransitionKind, str]] = {
    TransitionKind.OPENED: names.INCIDENT_OPENED,
    TransitionKind.REOPENED: names.INCIDENT_REOPENED,
    TransitionKind.ACKNOWLEDGED: names.INCIDENT_ACKNOWLEDGED,
    TransitionKind.RESOLVED: names.INCIDENT_RESOLVED,
}
"""The other transitions change nothing about whether something is down and whether a person works on it."""
_STATUSES: Final[Mapping[str, EventStatus]] = {"info": "info", "degraded": "warning", "down": "error"}
"""By severity; those of job files are warnings."""


class ProgramEvents:
    """`publish`: writes the event to the log and gives it to the exporters. No method waits or raises."""

    def __init__(self, publish: Callable[[ProgramEvent], None], version: str) -> None:
        self._publish = publish
        self._version = version

    def incidents_changed(self, steps: Iterable[IncidentStep]) -> None:
        """Publish what this process has stored about incidents."""
        for step in steps:
            for transition in step.transitions:
                if transition.kind in _INCIDENT_EVENTS:
                    self._publish(_make_incident_event(step.incident, transition))

    def notifications_given_up(self, channel: str, channel_kind: str, number: int, reason: str) -> None:
        """Publish that no channel accepted these notifications. `reason`: of the channel that was tried last."""
        self._publish(
            ProgramEvent(
                datetime.now(UTC),
                names.NOTIFICATION_UNDELIVERED,
                f"{number} notifications to channel {channel} were given up",
                reason,
                {names.CHANNEL: channel, names.NOTIFICATIONS: number},
                key=f"channel {channel}",
                status="error",
                tags={names.TAG_CHANNEL_KIND: channel_kind},
                level=logging.ERROR,
            )
        )

    def job_set_changed(self, digest: str, stored_version: int, jobs: int, counts: tuple[int, int, int] | None) -> None:
        """Publish that other jobs are in force. `counts`: added, changed and removed jobs; None: they changed while no
        process ran.
        """
        text, values = "they changed while no process ran", dict[str, object]()
        if counts is not None:
            text = "{} added, {} changed, {} removed".format(*counts)
            values = dict(zip((names.ADDED, names.CHANGED, names.REMOVED), counts, strict=True))
        values |= {names.JOBS: jobs, names.JOB_SET: digest, names.STORED_JOBS_VERSION: stored_version}
        title = f"other jobs are in force ({jobs})"
        self._publish(ProgramEvent(datetime.now(UTC), names.JOB_SET_CHANGED, title, text, values, key="job set"))

    def deployed(self, previous: str) -> None:
        """Publish that this version runs for the first time. `previous`: the version before, empty if none."""
        text = f"it replaces {previous}" if previous else ""
        values = {names.PREVIOUS_VERSION: previous} if previous else {}
        title = f"version {self._version} of the scheduler was deployed"
        self._publish(ProgramEvent(datetime.now(UTC), names.DEPLOYMENT, title, text, values, key="deployment"))


def _make_incident_event(incident: Incident, transition: Transition) -> ProgramEvent:
    name, severity = _INCIDENT_EVENTS[transition.kind], incident.severity
    is_alarm = transition.kind in (TransitionKind.OPENED, TransitionKind.REOPENED)
    status: EventStatus = "success" if transition.kind is TransitionKind.RESOLVED else "info"
    values = {
        names.INCIDENT: incident.id,
        names.SEVERITY: severity,
        names.SUBJECT: incident.leading.key.subject,
        names.CAUSE: incident.cause or None,
        names.ALERTS: len(incident.members),
        names.ACTOR: transition.actor or None,
    }
    return ProgramEvent(
        transition.at,
        name,
        f"incident about {incident.leading.key.subject} {transition.kind} ({severity})",
        transition.text,
        {key: value for key, value in values.items() if value is not None},
        key=incident.id,
        status=_STATUSES.get(severity, "warning") if is_alarm else status,
        tags={names.TAG_JOB: incident.leading.key.subject, names.TAG_SEVERITY: severity},
        level=logging.WARNING if is_alarm else logging.INFO,
    )
