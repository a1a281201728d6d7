"""Adds the failing parents to the suppressions: an incident that a parent explains later is held back, too.

An alert that begins to fail behind a failing parent joins the incident of the parent. One that failed before its parent
has a separate incident: while the parent fails, it is neither announced nor reminded of.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from jobs.incidents.engine.ancestry import find_failing_ancestor
from jobs.incidents.engine.facts import AlertFacts, AlertPolicy, DueChannel
from jobs.incidents.values import AlertKey, Incident, Suppression, SuppressionKind


class FactsWithParents:
    """Implements AlertFacts. `failing`: the subjects with a firing alert."""

    def __init__(self, facts: AlertFacts, failing: Collection[str]) -> None:
        self._facts = facts
        self._failing = failing

    @property
    def now(self) -> datetime:
        return self._facts.now

    @property
    def group_wait(self) -> timedelta:
        return self._facts.group_wait

    def policy_of(self, key: AlertKey) -> AlertPolicy | None:
        return self._facts.policy_of(key)

    def parents_of(self, subject: str) -> Sequence[str]:
        return self._facts.parents_of(subject)

    def is_checked_since(self, subject: str, since: datetime) -> bool:
        return self._facts.is_checked_since(subject, since)

    @property
    def started_at(self) -> datetime | None:
        return self._facts.started_at

    def first_run_end(self, subject: str, *, is_missed: bool = False) -> datetime | None:
        return self._facts.first_run_end(subject, is_missed=is_missed)

    def causes_of(self, key: AlertKey) -> Sequence[str]:
        return self._facts.causes_of(key)

    def suppression_of(self, key: AlertKey) -> Suppression | None:
        suppression = self._facts.suppression_of(key)
        if suppression is not None:
            return suppression
        ancestor = find_failing_ancestor(key.subject, self._failing, self._facts)
        return Suppression(SuppressionKind.PARENT, ancestor) if ancestor else None

    def channels_of(self, incident: Incident) -> Sequence[str | DueChannel]:
        return self._facts.channels_of(incident)
