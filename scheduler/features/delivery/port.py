"""A scheduler, running or opened from its store, as the commands about jobs as code, and gates, see it.

ApiScheduler and StoreScheduler implement what each of them needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from scheduler.features.jobs.definitions import minimal_definition

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.definition.alerting_section import AlertingDefinitions
    from scheduler.features.backtest.service import BacktestReport
    from scheduler.features.forecast.load import RunDuration
    from scheduler.features.stored_jobs.sets import SetPlan, SetReview

DEFINITION_ACTIONS = frozenset(
    {"job.create", "job.replace", "job.patch", "job.delete", "job.restore", "job.duplicate", "set.apply"}
)
"""Actions of the audit trail that change the definition of a job."""

_SAMPLES = "config/jobs/samples/"
"""Start of the origins of sample jobs."""
MAX_DOCUMENT: Final = 200 * 1024
"""Bytes of a document; the API accepts 256 KiB."""


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job in force. `origin`: such as `jobs/checkout.yaml:12`. `owner`: of a stored job; None for one of a file."""

    job: JobDefinition
    origin: str
    owner: str | None = None

    @property
    def is_stored(self) -> bool:
        return self.owner is not None

    @property
    def is_sample(self) -> bool:
        """Return whether it is a job of the program's own examples, which no working copy contains."""
        return self.origin.startswith(_SAMPLES)


@dataclass(frozen=True, slots=True)
class ListedRun:
    """`outcome`: or its state, if it has not finished. `reason`: why it was skipped, see ReasonCode."""

    job: str
    trigger: str
    outcome: str
    duration_ms: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """The latest change of a definition in the audit trail."""

    by: str
    at: datetime
    action: str


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """A notification that was or would be sent. `difference`: same, new, gone, later, earlier."""

    at: datetime
    job: str
    rule: str
    channel: str
    kind: str
    difference: str


@dataclass(frozen=True, slots=True)
class AlertReplay:
    """What alert rules would have notified since an instant. `subjects`: the jobs, and groups with them.

    `notes`: what the replay could not know. `report`: with more details; None from a running scheduler.
    """

    subjects: frozenset[str]
    since: datetime
    sent: int
    would_be_sent: int
    messages: Sequence[AlertMessage]
    notes: Sequence[str] = ()
    report: BacktestReport | None = None


@dataclass(frozen=True, slots=True)
class AlertRequest:
    """`jobs`: those whose alerts change. `definitions`: all jobs after the change, by name.

    `alerting`: what the job files define after the change; None: what they define now.
    """

    jobs: frozenset[str]
    definitions: Mapping[str, JobDefinition]
    since: datetime
    alerting: AlertingDefinitions | None = None


def read_change(fields: Mapping[str, Any]) -> RecordedChange | None:
    """Return the change of an entry of the audit trail, as stored or from the API; None for another entry."""
    if fields.get("kind") != "change" or fields.get("action") not in DEFINITION_ACTIONS:
        return None
    try:
        at = datetime.fromisoformat(str(fields["at"]))
    except (KeyError, ValueError):
        return None
    return RecordedChange(str(fields.get("principal", "")), at, str(fields["action"]))


class SchedulerReader(Protocol):
    """Every method raises StoreError or RemoteError."""

    async def read_jobs(self) -> Sequence[RunningJob]:
        """Return the jobs in force, by name."""
        ...

    async def plan_set(
        self, owner: str, document: Mapping[str, Any], *, adopt: bool, allow_literal: bool = False
    ) -> SetPlan:
        """Return what a set of stored jobs would change. `allow_literal`: literal credentials are accepted.

        Raises InvalidDefinition.
        """
        ...

    async def review(self, jobs: Sequence[JobDefinition]) -> SetReview:
        """Return denied targets and unavailable secrets of jobs, as the scheduler sees them."""
        ...

    async def read_durations(self, names: Sequence[str]) -> Mapping[str, RunDuration]:
        """Return how long runs of these jobs last. Jobs without a finished run are omitted."""
        ...

    async def find_change(self, job: str) -> RecordedChange | None:
        """Return the latest change of the definition of a job, also of a deleted one."""
        ...

    async def replay_alerts(self, request: AlertRequest) -> AlertReplay:
        """Replay stored runs with the alert rules of changed jobs."""
        ...


def list_review_documents(jobs: Sequence[JobDefinition]) -> Iterator[bytes]:
    """Yield documents that contain the enabled jobs together."""
    parts: list[str] = []
    size = 0
    for job in jobs:
        if not job.enabled:
            continue
        written: dict[str, Any] = {"schedule": None, "check": minimal_definition(job)["check"]}
        part = f"{json.dumps(job.name)}:{json.dumps(written)}"
        if parts and size + len(part) > MAX_DOCUMENT:
            yield _join(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield _join(parts)


def _join(parts: list[str]) -> bytes:
    return b'{"jobs":{%s}}' % ",".join(parts).encode()
