"""Publishes events of the scheduler itself: starts, incidents, deployments, changes of jobs. The base of telemetry.

Each is a log event, a custom event of Application Insights, and an event of Datadog. The process that has stored a
change publishes it, so each is published at most once although several processes run.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import Incident, Transition, TransitionKind
from observability import names
from observability.events import EventStatus, LogEvent, LogLine, ProgramEvent, ServiceEvent, TelemetryEvent

_service_log = logging.getLogger("scheduler.service")


class ServicePublisher(ABC):
    """No method waits or raises."""

    def __init__(self, environment: str, version: str) -> None:
        self._environment = environment
        self._version = version

    def service_started(self, *, host: str, jobs: int) -> None:
        """The scheduler is ready. `host`: embedded or functions; `jobs`: how many are in force."""
        self._publish_service_event(
            names.SERVICE_STARTED, f"scheduler started with {jobs} jobs", {names.HOST: host, names.JOBS: jobs}
        )

    def dashboard_served(self, url: str) -> None:
        """The start is complete: the dashboard is at this URL."""
        self._publish_service_event(names.SERVICE_ADDRESS, f"Dashboard: {url}", {names.ADDRESS: url})

    def start_failed(self, *, host: str, reason: str, error: Exception | None = None, to_log: bool = True) -> None:
        """The scheduler cannot start. `reason`: sentences; `error`: to be reported with its traceback."""
        values = self._service_values({names.HOST: host})
        sentence = f"the scheduler cannot start, nothing runs:\n{reason}"
        event = ServiceEvent(names.SERVICE_FAILED, sentence, values, logging.ERROR)
        if to_log:
            _service_log.error(event, exc_info=error)
        exc_info = (type(error), error, error.__traceback__) if error is not None else None
        now = datetime.now(UTC)
        self._offer(
            LogLine(now, event.level, _service_log.name, sentence, event.name, event.fields(), exc_info=exc_info)
        )

    def service_stopped(self, *, host: str) -> None:
        """The scheduler has ended its runs."""
        self._publish_service_event(names.SERVICE_STOPPED, "scheduler stopped", {names.HOST: host})

    def audit_head(self, sequence: int, digest: str, count: int) -> None:
        """Publish the last entry of the audit trail, as an anchor for its verification."""
        self._publish_service_event(
            names.AUDIT_HEAD,
            f"audit trail: the last of {count} entries is {sequence}:{digest}",
            {names.AUDIT_SEQUENCE: sequence, names.AUDIT_HASH: digest, names.AUDIT_ENTRIES: count},
        )

    def watchdog(self, part: str, message: str, *, well: bool) -> None:
        """Publish that a part of health (`jobs`, `queue`, `secrets`) is unhealthy, or is healthy again."""
        self._publish_service_event(
            names.WATCHDOG, message, {names.PART: part}, logging.INFO if well else logging.WARNING
        )

    @abstractmethod
    def _log_event(self, event: LogEvent, log: logging.Logger) -> None: ...

    @abstractmethod
    def _offer(self, event: TelemetryEvent) -> None: ...

    def _publish_service_event(
        self, name: str, sentence: str, values: dict[str, object], level: int = logging.INFO
    ) -> None:
        event = ServiceEvent(name, sentence, self._service_values(values), level)
        self._log_event(event, _service_log)
        self._offer(
            LogLine(datetime.now(UTC), event.level, _service_log.name, event.sentence, event.name, event.fields())
        )

    def _publish_program_event(self, event: ProgramEvent) -> None:
        complete = replace(event, values=self._service_values(dict(event.values)))
        self._log_event(complete, _service_log)
        self._offer(complete)

    def _service_values(self, values: dict[str, object]) -> dict[str, object]:
        return {**values, names.ENVIRONMENT: self._environment, names.VERSION: self._version}


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
