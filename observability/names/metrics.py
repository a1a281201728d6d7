"""The names of metrics and of their tags, and the forms of all entries of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Name:
    """A name and its meaning. `unit`: `ms`, `s`, or empty."""

    name: str
    description: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class EventName(Name):
    """A log event. `levels`: as the page of operators has them."""

    levels: str = ""


@dataclass(frozen=True, slots=True)
class FieldName(Name):
    """A field. `on`: the events and spans that have it, as the page of operators has them."""

    on: str = ""


@dataclass(frozen=True, slots=True)
class Metric(Name):
    """A `count` is summed, a `distribution` keeps its spread, a `gauge` has its newest value.

    `tags` are all dimensions, so its size is bounded.
    """

    kind: Literal["count", "distribution", "gauge"] = "count"
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricSeries(Name):
    """A series of `GET /api/metrics`. `name`: as queries use it: that of a counter ends with `_total`, of an info with
    `_info`.

    `unit`: the base unit, with which the name ends as well: `seconds` or `ratio`; or empty. `labels`: all of them, but
    for those that the settings add to an info.
    """

    kind: Literal["gauge", "counter", "histogram", "info"] = "gauge"
    labels: tuple[str, ...] = ()


_tags: list[Name] = []


def _tag(name: str, description: str) -> str:
    _tags.append(Name(name, description))
    return name


TAG_JOB: Final = _tag("job", "The job.")
TAG_OUTCOME: Final = _tag("outcome", "As Outcome.")
TAG_DEGRADED: Final = _tag("degraded", "As Degraded: true or false.")
TAG_REASON: Final = _tag("reason", "As Reason; omitted without one.")
TAG_TRIGGER: Final = _tag("trigger", "As Trigger.")
TAG_CIRCUIT: Final = _tag("circuit", "The circuit breaker: the job, or `group:NAME` of those that share one.")
TAG_STATE: Final = _tag("state", "The new state of a circuit breaker: closed, open or half_open.")
TAG_GATE: Final = _tag(
    "gate", "What a run waited for: place, overlap, dependency, slot, or store while it is unavailable."
)
TAG_EXPORTER: Final = _tag("exporter", "The exporter, as in `GET /api/status`.")
TAG_SEVERITY: Final = _tag("severity", "The severity of an incident.")
TAG_CHANNEL_KIND: Final = _tag("channel_kind", "The kind of a notification channel: email, slack, ...")
TAG_EVENT: Final = _tag("event", "The name of an event of the program (Datadog).")
TAG_ENV: Final = _tag("env", "The environment (Datadog).")
TAG_SERVICE: Final = _tag("service", "The service's name (Datadog).")
TAG_VERSION: Final = _tag(
    "version", "The program's version (Datadog, except on metrics: each release would create all of them again)."
)

METRIC_TAGS: Final = tuple(_tags)


RUNS: Final = Metric(
    "scheduler.job.runs", "Finished runs.", "", "count", (TAG_JOB, TAG_OUTCOME, TAG_REASON, TAG_DEGRADED, TAG_TRIGGER)
)
DURATIONS: Final = Metric(
    "scheduler.job.duration", "Duration of finished runs.", "ms", "distribution", (TAG_JOB, TAG_OUTCOME)
)
RESPONSE_TIMES: Final = Metric(
    "scheduler.job.response_time", "Duration of the last attempt.", "ms", "distribution", (TAG_JOB, TAG_OUTCOME)
)
LATENESSES: Final = Metric("scheduler.job.lateness", "Start minus due instant.", "ms", "distribution", (TAG_JOB,))
ATTEMPT_COUNTS: Final = Metric("scheduler.job.attempts", "Attempts of a run.", "", "distribution", (TAG_JOB,))
DEAD_LETTERS: Final = Metric("scheduler.job.dead_letters", "Runs given up.", "", "count", (TAG_JOB,))
RETRIES: Final = Metric("scheduler.job.retries", "Attempts after the first one of a run.", "", "count", (TAG_JOB,))

DENIED_RETRIES: Final = Metric(
    "scheduler.retry_budget.denied", "Retries that the retry budget of their host did not allow.", "", "count"
)
CIRCUIT_CHANGES: Final = Metric(
    "scheduler.circuit.changes", "Changes of a circuit breaker's state.", "", "count", (TAG_CIRCUIT, TAG_STATE)
)
GATE_WAITS: Final = Metric(
    "scheduler.gate.wait", "Time for which a run waited at a gate.", "ms", "distribution", (TAG_GATE,)
)
ALERT_EVALUATIONS: Final = Metric(
    "scheduler.alert.evaluations", "Judgements of the alert rules of a job or a group.", "", "count"
)
SENT_NOTIFICATIONS: Final = Metric(
    "scheduler.notification.sent", "Messages that a channel accepted.", "", "count", (TAG_CHANNEL_KIND,)
)
FAILED_NOTIFICATIONS: Final = Metric(
    "scheduler.notification.failed", "Attempts to send a message that failed.", "", "count", (TAG_CHANNEL_KIND,)
)
UNDELIVERED_NOTIFICATIONS: Final = Metric(
    "scheduler.notification.undelivered", "Notifications that were given up.", "", "count", (TAG_CHANNEL_KIND,)
)
DROPPED_TELEMETRY: Final = Metric(
    "scheduler.telemetry.dropped", "Events and rows that an exporter lost.", "", "count", (TAG_EXPORTER,)
)

OPEN_CIRCUITS: Final = Metric(
    "scheduler.circuit.open",
    "Circuit breakers that are not closed, as the process that measures knows them.",
    "",
    "gauge",
)
RETRY_BUDGET_USE: Final = Metric(
    "scheduler.retry_budget.use",
    "Share of the retry budget in use, 0 to 1, of the host with the least left, in the process that measures.",
    "",
    "gauge",
)
OPEN_INCIDENTS: Final = Metric("scheduler.incident.open", "Open incidents.", "", "gauge", (TAG_SEVERITY,))
PENDING_NOTIFICATIONS: Final = Metric(
    "scheduler.notification.pending", "Notifications that wait to be sent.", "", "gauge", (TAG_CHANNEL_KIND,)
)
ROLLUP_LAG: Final = Metric(
    "scheduler.rollup.lag",
    "Time for which complete hours of statistics have been waiting to be summed up.",
    "s",
    "gauge",
)

RUN_METRICS: Final = (RUNS, DURATIONS, RESPONSE_TIMES, LATENESSES, ATTEMPT_COUNTS, RETRIES, DEAD_LETTERS)
"""The metrics of runs."""
PROGRAM_METRICS: Final = (
    DENIED_RETRIES,
    CIRCUIT_CHANGES,
    GATE_WAITS,
    ALERT_EVALUATIONS,
    SENT_NOTIFICATIONS,
    FAILED_NOTIFICATIONS,
    UNDELIVERED_NOTIFICATIONS,
    DROPPED_TELEMETRY,
    OPEN_CIRCUITS,
    RETRY_BUDGET_USE,
    OPEN_INCIDENTS,
    PENDING_NOTIFICATIONS,
    ROLLUP_LAG,
)
"""The metrics of the program itself."""
METRICS: Final = (*RUN_METRICS, *PROGRAM_METRICS)
"""All metrics but the gauges of the watchdog: scheduler.watchdog.report."""


class GaugeDeclaration(Protocol):
    """A gauge of the watchdog, as scheduler.watchdog.report declares it."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def unit(self) -> str: ...


def gauge_metric(gauge: GaugeDeclaration) -> Metric:
    """Return the metric of a gauge."""
    return Metric(f"scheduler.watchdog.{gauge.name}", gauge.description, gauge.unit, "gauge")
