"""What each kind of check asks, as data. The check itself is in jobs/checks/<kind>.py.

A new kind: its model in a file here and in `Target`, its file in jobs/checks/, its line in jobs/checks/__init__.py.
Every target has `kind`, `endpoint` (how logs and history call it, without secrets) and `idempotent` (whether asking
again after a failure does no harm). Its class has `TIMEOUTS`, the deadlines of jobs that name none, and may have
`SCHEDULE`: that of its jobs, unless they have one.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import Discriminator, Tag

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
    """The kind of a target, as it is written or as a model. Without one it is `http`, unless a key says otherwise."""
    if not isinstance(value, dict):
        return getattr(value, "kind", None)
    if "kind" in value:
        return value["kind"]
    # None is told as a missing kind: better than every key as one that http does not know.
    return "http" if "url" in value or _KEYS_OF_OTHER_KINDS.isdisjoint(value) else None


Target = Annotated[
    Annotated[HttpTarget, Tag("http")]
    | Annotated[StepsTarget, Tag("steps")]
    | Annotated[TcpTarget, Tag("tcp")]
    | Annotated[DnsTarget, Tag("dns")]
    | Annotated[TlsTarget, Tag("tls")]
    | Annotated[HeartbeatTarget, Tag("heartbeat")],
    Discriminator(target_kind),
]
"""Every kind of target, told apart by `kind`."""

TARGETS_BY_KIND: dict[str, Any] = {tag.tag: model for model, tag in map(get_args, get_args(get_args(Target)[0]))}
"""The models by their kind."""

_KEYS_OF_OTHER_KINDS = (
    frozenset[str]().union(*(model.model_fields for model in TARGETS_BY_KIND.values())) - HttpTarget.model_fields.keys()
)
"""Keys that http has not, and another kind has."""

__all__ = [
    "IDEMPOTENT_METHODS",
    "TARGETS_BY_KIND",
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
    "is_invalid_header_value",
    "target_kind",
]
