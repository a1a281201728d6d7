"""The targets of all kinds of check, as data.

A new kind: its model in a file here and in `Target`, its check in jobs/checks/kinds.
Every target has `kind`, `endpoint` (its name in logs and history, without secrets), `label` (its name for people,
without secrets) and `idempotent` (whether a retry after a failure is harmless); `destinations()` yields what it
connects to. Its class has `FEATURES`, what its observations have for expectations, `TIMEOUTS`, the default deadlines of
its jobs, and can have `SCHEDULE`, their default schedule, and `CAN_BE_UNKNOWN`: its check requests the state of the
target from another service, so an observation, or the end of its time, can be unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, get_args

from pydantic import Discriminator, Tag

from jobs.problems import make_printable
from jobs.targets.azure import (
    AzureMetricTarget,
    AzureQueryTarget,
    AzureQueueTarget,
    AzureResourceTarget,
    AzureTarget,
)
from jobs.targets.databases import MysqlTarget, PostgresTarget, RedisTarget, SqlServerTarget
from jobs.targets.dns import DnsTarget
from jobs.targets.heartbeat import HeartbeatTarget
from jobs.targets.http import (
    IDEMPOTENT_METHODS,
    FormBody,
    HttpTarget,
    JsonBody,
    TextBody,
    TlsOptions,
    is_invalid_header_value,
)
from jobs.targets.steps import StepsTarget
from jobs.targets.tcp import TcpTarget
from jobs.targets.tls import TlsTarget


def target_kind(value: Any) -> Any:
    """Return the kind of a target, a mapping or a model. Default: `http`, unless the keys belong to another kind."""
    if not isinstance(value, dict):
        return getattr(value, "kind", None)
    if "kind" in value:
        return value["kind"]
    # None is reported as a missing kind, instead of each key as unknown.
    return "http" if "url" in value or KEYS_OF_OTHER_KINDS.isdisjoint(value) else None


Target = Annotated[
    Annotated[HttpTarget, Tag("http")]
    | Annotated[StepsTarget, Tag("steps")]
    | Annotated[TcpTarget, Tag("tcp")]
    | Annotated[DnsTarget, Tag("dns")]
    | Annotated[TlsTarget, Tag("tls")]
    | Annotated[AzureResourceTarget, Tag("azure_resource")]
    | Annotated[AzureQueryTarget, Tag("azure_query")]
    | Annotated[AzureMetricTarget, Tag("azure_metric")]
    | Annotated[AzureQueueTarget, Tag("azure_queue")]
    | Annotated[HeartbeatTarget, Tag("heartbeat")]
    | Annotated[PostgresTarget, Tag("postgres")]
    | Annotated[MysqlTarget, Tag("mysql")]
    | Annotated[SqlServerTarget, Tag("sqlserver")]
    | Annotated[RedisTarget, Tag("redis")],
    Discriminator(target_kind),
]
"""Every kind of target, discriminated by `kind`."""

TARGETS_BY_KIND: dict[str, Any] = {tag.tag: model for model, tag in map(get_args, get_args(get_args(Target)[0]))}
"""The models by kind."""


def can_be_unknown(target: Any) -> bool:
    """Return whether a run of this target can be unknown."""
    return getattr(target, "CAN_BE_UNKNOWN", False)


MAX_TARGET_NAME = 300
"""Characters."""


def describe_target(target: Any, step: str = "", redact: Callable[[str], str] = str) -> str:
    """Return the name of a target for people: printable, on one line, without secrets.

    `step`: of a check of several steps, the one to name. `redact`: removes registered values, such as one in a path.
    """
    label = target.label_of_step(step) if step and isinstance(target, StepsTarget) else target.label
    return make_printable(redact(label), MAX_TARGET_NAME)


KEYS_OF_OTHER_KINDS = (
    frozenset[str]().union(*(model.model_fields for model in TARGETS_BY_KIND.values())) - HttpTarget.model_fields.keys()
)
"""Keys that only other kinds than http have."""

__all__ = [
    "IDEMPOTENT_METHODS",
    "TARGETS_BY_KIND",
    "AzureMetricTarget",
    "AzureQueryTarget",
    "AzureQueueTarget",
    "AzureResourceTarget",
    "AzureTarget",
    "DnsTarget",
    "FormBody",
    "HeartbeatTarget",
    "HttpTarget",
    "JsonBody",
    "StepsTarget",
    "Target",
    "TcpTarget",
    "TextBody",
    "TlsOptions",
    "TlsTarget",
    "describe_target",
    "is_invalid_header_value",
    "target_kind",
]
