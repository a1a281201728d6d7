"""Publishes events of the scheduler itself (starts, incidents, deployments, changes of jobs), and what its parts
measure about themselves. The bases of telemetry.

An event is a log event, a custom event of Application Insights, and an event of Datadog. The process that has stored a
change publishes it, so each is published at most once although several processes run.

Measurements are added up and sent together every ten seconds. The methods of ProgramMetrics are the callbacks and
ports of the parts, which know neither names of metrics nor exporters; they neither wait nor raise. A measurement costs
a few additions on the path of its caller; an event for the exporters is made once an interval, so that frequent
measurements neither fill their queues nor wake their threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import Incident, Transition, TransitionKind
from jobs.runs.outcomes import ReasonCode
from observability import names
from observability.events import (
    EventStatus,
    LogEvent,
    LogLine,
    Measurement,
    Measurements,
    ProgramEvent,
    ServiceEvent,
    TelemetryEvent,
)

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


FLUSH_INTERVAL: Final = 10.0
"""Seconds between two events while there is something to send."""
MAX_VALUES: Final = 1000
"""Values of distributions that wait at most: then they are sent at once."""

NO_TAGS: Final[Mapping[str, str]] = {}
_Key = tuple[names.Metric, tuple[tuple[str, str], ...]]


class Meter:
    """`send`: gives an event to the exporters. `read_more`: returns counts since its last call, at each flush."""

    def __init__(
        self,
        send: Callable[[Measurements], None],
        read_more: Callable[[], list[Measurement]] = list,
        interval: float = FLUSH_INTERVAL,
    ) -> None:
        self._send = send
        self._read_more = read_more
        self._interval = interval
        self._counts: dict[_Key, float] = defaultdict(float)
        self._values: dict[_Key, list[float]] = defaultdict(list)
        self._gauges: dict[_Key, float] = {}
        self._waiting_values = 0
        self._timer: asyncio.TimerHandle | None = None

    def count(self, metric: names.Metric, number: float = 1.0, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Add to a count."""
        self._counts[_make_key(metric, tags)] += number
        self.wake()

    def record(self, metric: names.Metric, value: float, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Add a value to a distribution."""
        self._values[_make_key(metric, tags)].append(value)
        self._waiting_values += 1
        if self._waiting_values >= MAX_VALUES:
            self.flush()
        else:
            self.wake()

    def set_gauge(self, metric: names.Metric, value: float, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Replace the value of a gauge, which is sent once."""
        self._gauges[_make_key(metric, tags)] = value
        self.wake()

    def wake(self) -> None:
        """Flush within the interval; without a running loop at once."""
        if self._timer is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if self._counts or self._values or self._gauges:
                self.flush()
        else:
            self._timer = loop.call_later(self._interval, self.flush)

    def flush(self) -> None:
        """Send what was measured since the last time, if anything was."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, defaultdict(float)
        values, self._values = self._values, defaultdict(list)
        gauges, self._gauges = self._gauges, {}
        self._waiting_values = 0
        measurements = [Measurement(metric, (number,), dict(tags)) for (metric, tags), number in counts.items()]
        measurements += [Measurement(metric, tuple(numbers), dict(tags)) for (metric, tags), numbers in values.items()]
        measurements += [Measurement(metric, (value,), dict(tags)) for (metric, tags), value in gauges.items()]
        measurements += self._read_more()
        if measurements:
            self._send(Measurements(tuple(measurements)))


def _make_key(metric: names.Metric, tags: Mapping[str, str]) -> _Key:
    return metric, tuple(sorted(tags.items()))


class UnreadMeter(Meter):
    """Measures nothing, because no exporter would send it."""

    def count(self, metric: names.Metric, number: float = 1.0, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Do nothing."""

    def record(self, metric: names.Metric, value: float, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Do nothing."""

    def set_gauge(self, metric: names.Metric, value: float, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Do nothing."""


UNCHANGED_INTERVAL: Final = 290.0
"""Seconds after which a gauge with the same value is published again: each five minutes, a point of Azure's charts."""

_GATES = {
    ReasonCode.NO_CAPACITY: "place",
    ReasonCode.NO_SLOT: "slot",
    ReasonCode.STORE_UNAVAILABLE: "store",
}
"""The tag of a wait, where the code of its reason is not the name of what the run waits for."""


class ProgramMetrics:
    """`by_circuit`: whether changes of circuits are split by circuit."""

    def __init__(self, meter: Meter, *, by_circuit: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._by_circuit = by_circuit
        self._monotonic = monotonic
        self._published: dict[tuple[names.Metric, str], tuple[float, float]] = {}
        """By gauge and tag: the value, and when it was published."""

    def circuit_changed(self, circuit: str, state: str) -> None:
        """A circuit breaker has another state: closed, open or half_open."""
        tags = {names.TAG_STATE: state, **({names.TAG_CIRCUIT: circuit} if self._by_circuit else {})}
        self._meter.count(names.CIRCUIT_CHANGES, tags=tags)

    def retry_denied(self) -> None:
        """The retry budget did not allow a retry."""
        self._meter.count(names.DENIED_RETRIES)

    def run_waited(self, reason: ReasonCode, seconds: float) -> None:
        """A run has waited for this reason and does not wait for it any more."""
        gate = _GATES.get(reason, reason.value)
        self._meter.record(names.GATE_WAITS, round(seconds * 1000, 3), {names.TAG_GATE: gate})

    def alerts_evaluated(self, subjects: int) -> None:
        """The alert rules of so many jobs or groups were judged."""
        self._meter.count(names.ALERT_EVALUATIONS, subjects)

    def notification_sent(self, channel_kind: str) -> None:
        """A channel accepted a message."""
        self._meter.count(names.SENT_NOTIFICATIONS, tags={names.TAG_CHANNEL_KIND: channel_kind})

    def notification_failed(self, channel_kind: str) -> None:
        """An attempt to send a message failed; another one may follow."""
        self._meter.count(names.FAILED_NOTIFICATIONS, tags={names.TAG_CHANNEL_KIND: channel_kind})

    def notifications_given_up(self, channel_kind: str, number: int) -> None:
        """Notifications could not be delivered to any channel."""
        self._meter.count(names.UNDELIVERED_NOTIFICATIONS, number, {names.TAG_CHANNEL_KIND: channel_kind})

    def process_gauges(self, *, open_circuits: int, retry_budget_use: float) -> None:
        """The state of this process."""
        self._set_gauge(names.OPEN_CIRCUITS, open_circuits)
        self._set_gauge(names.RETRY_BUDGET_USE, round(retry_budget_use, 4))

    def open_incidents(self, by_severity: Mapping[str, int]) -> None:
        """How many incidents are open, by severity."""
        for severity, number in by_severity.items():
            self._set_gauge(names.OPEN_INCIDENTS, number, {names.TAG_SEVERITY: severity})

    def pending_notifications(self, by_channel_kind: Mapping[str, int]) -> None:
        """How many notifications wait, by the kind of their channel."""
        for kind, number in by_channel_kind.items():
            self._set_gauge(names.PENDING_NOTIFICATIONS, number, {names.TAG_CHANNEL_KIND: kind})

    def rollup_lag(self, seconds: float) -> None:
        """For how long complete hours of statistics have been waiting."""
        self._set_gauge(names.ROLLUP_LAG, round(seconds, 3))

    def _set_gauge(self, metric: names.Metric, value: float, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Publish a value that has changed. One that has not is published again after some minutes, as each costs."""
        key, now = (metric, next(iter(tags.values()), "")), self._monotonic()
        known = self._published.get(key)
        if known is None or known[0] != value or now - known[1] >= UNCHANGED_INTERVAL:
            self._published[key] = value, now
            self._meter.set_gauge(metric, value, tags)
