"""The names of the tags of metrics and service checks. Re-exported by observability.names."""

from __future__ import annotations

from typing import Final

from observability.names.catalogue import Name

_tags: list[Name] = []


def _tag(name: str, description: str) -> str:
    _tags.append(Name(name, description))
    return name


TAG_JOB: Final = _tag("job", "The job.")
TAG_OUTCOME: Final = _tag("outcome", "As Outcome.")
TAG_DEGRADED: Final = _tag("degraded", "As Degraded: true or false.")
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
