"""The intakes of Datadog and the payloads that they accept.

Used by observability.exporters.datadog.payloads and its delivery.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from observability import names
from observability.exporters.pacing import Pace, encode_list
from observability.exporters.spool.request import SpooledRequest

IntakeEntry = dict[str, Any]


IntakeKind = Literal["series", "distributions", "checks", "logs", "events"]


_MINUTE, _HOUR = 60.0, 3600.0

RETRY_WINDOW: Mapping[IntakeKind, float] = {
    "series": _HOUR,
    "distributions": _HOUR,
    "checks": 10 * _MINUTE,
    "logs": 18 * _HOUR,
    "events": 18 * _HOUR,
}
"""Seconds after which the intake rejects it: a later retry is useless."""


@dataclass(frozen=True, slots=True)
class DatadogSource:
    """The sender: the unified service tags, and the machine, which separates the counts of instances."""

    env: str
    service: str
    version: str
    host: str

    @property
    def metric_tags(self) -> tuple[str, ...]:
        """Exclude the version: each release would create every custom metric again."""
        return (f"{names.TAG_ENV}:{self.env}", f"{names.TAG_SERVICE}:{self.service}")

    @property
    def tags(self) -> tuple[str, ...]:
        return (*self.metric_tags, f"{names.TAG_VERSION}:{self.version}")


@dataclass(frozen=True, slots=True)
class IntakePayload:
    """One call of an intake. A retry is identical: the same points at the same time replace each other."""

    kind: IntakeKind
    entries: Sequence[IntakeEntry]
    made_at: float

    def to_request(self, pace: Pace) -> SpooledRequest:
        """Return it as it waits on disk."""
        expires_at = self.made_at + RETRY_WINDOW[self.kind]
        return SpooledRequest(
            self.kind, encode_entries(self.entries, pace), len(self.entries), self.made_at, expires_at
        )


def encode_entries(entries: Sequence[IntakeEntry], pace: Pace) -> bytes:
    """Return the body of a request that waits: compressed JSON."""
    return zlib.compress(encode_list(entries, pace), level=1)


def decode_entries(body: bytes) -> list[IntakeEntry]:
    entries: list[IntakeEntry] = json.loads(zlib.decompress(body))
    return entries
