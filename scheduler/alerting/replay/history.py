"""What a replay is given: the runs of jobs, and what cannot be derived from runs. Pure values.

Read from the store by scheduler.alerting.backtests, or made by tests.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from jobs.alerting.facts import Sample
from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import AlertKey, Suppression


@fast_frozen(frozen=True, slots=True)
class ReplayRun:
    """A finished run. `sample`: None if it takes no place. `causes`: what its failure may share with others."""

    due_at: datetime
    finished_at: datetime
    sample: Sample | None = None
    causes: tuple[str, ...] = ()


@fast_frozen(frozen=True, slots=True)
class PauseSpan:
    """A time in which a job was paused. `end`: None if it lasts."""

    begin: datetime
    end: datetime | None
    suppression: Suppression


@fast_frozen(frozen=True, slots=True)
class KnownCertificate:
    """The certificate that the newest run had obtained from an instant on."""

    at: datetime
    expires_at: datetime


@fast_frozen(frozen=True, slots=True)
class JobHistory:
    """`runs`: by the instant at which they finished.

    Runs between them may be missing if they could not change an alert: those of a time in which all were good, or all
    were bad, apart from as many at both ends as the rules count.
    """

    job: str
    runs: tuple[ReplayRun, ...] = ()
    pauses: tuple[PauseSpan, ...] = ()
    certificates: tuple[KnownCertificate, ...] = ()


@fast_frozen(frozen=True, slots=True)
class RecordedFiring:
    """When an alert fired whose condition cannot be derived from runs, such as an open circuit."""

    key: AlertKey
    fired_at: datetime
    failing_since: datetime
    evidence: str = ""
    resolved_at: datetime | None = None


class ActionKind(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    UNACKNOWLEDGE = "unacknowledge"
    NOTE = "note"
    RESOLVE = "resolve"


@fast_frozen(frozen=True, slots=True)
class RecordedAction:
    """What a person did with the open incident that an alert leads."""

    lead: AlertKey
    at: datetime
    kind: ActionKind
    actor: str
    note: str = ""
    until: datetime | None = None


@fast_frozen(frozen=True, slots=True)
class ReplayInput:
    """`begin`: where the replay starts, without any alert; it can be long before what is of interest."""

    begin: datetime
    end: datetime
    histories: tuple[JobHistory, ...] = ()
    firings: tuple[RecordedFiring, ...] = ()
    actions: tuple[RecordedAction, ...] = field(default=())
