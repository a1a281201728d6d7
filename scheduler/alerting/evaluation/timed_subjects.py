"""Which subjects the tick must judge although no run of them has finished. Used by evaluator."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime

from jobs.alerting.alert import fires_at
from jobs.incidents.values import AlertKey
from jobs.ports import Clock
from scheduler.alerting.evaluation.fact_reader import FactReader
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.evaluation.rule_index import RuleIndex
from scheduler.alerting.rule_book import RuleBook

FACTS_INTERVAL = 60.0
"""Seconds between judgements of dead letters, secrets, certificates and circuits."""
MAX_REVIEWED = 500
"""Subjects with alerts that one tick judges without a cause."""


class TimedSubjects:
    def __init__(self, alerts: KnownAlerts, facts: FactReader, clock: Clock) -> None:
        self._alerts = alerts
        self._facts = facts
        self._clock = clock
        self._facts_at = 0.0
        self._reviewed_until = ""

    @property
    def is_review_incomplete(self) -> bool:
        return bool(self._reviewed_until)

    async def list_subjects(self, index: RuleIndex, window_ends: Mapping[str, datetime], now: datetime) -> set[str]:
        """Return the subjects that time alone may change. Raises StoreError.

        `window_ends`: jobs in trouble, with the instant at which a run leaves the window of a rule.
        """
        found, monotonic = self.list_due(index.book, now), self._clock.monotonic()
        found |= {job for job, at in window_ends.items() if at <= now}
        if monotonic >= self._facts_at:
            found |= await self._list_by_facts(index, now)
            self._facts_at = monotonic + FACTS_INTERVAL
        return found

    def list_due(self, book: RuleBook, now: datetime) -> set[str]:
        """Return the subjects with a pending alert that fires now if its condition is still met."""
        due: set[str] = set()
        for alert in self._alerts.list_pending():
            rule = book.rule_of(AlertKey(alert.subject, alert.rule))
            at = None if rule is None else fires_at(alert, rule.minimum_duration)
            if at is not None and at <= now:
                due.add(alert.subject)
        return due

    def list_reviewed(self) -> set[str]:
        """Return the subjects with alerts; with many of them, the next ones at each call."""
        subjects = sorted({alert.subject for alert in self._alerts.list_all()})
        start = bisect_right(subjects, self._reviewed_until)
        chosen = subjects[start : start + MAX_REVIEWED]
        self._reviewed_until = chosen[-1] if start + MAX_REVIEWED < len(subjects) else ""
        return set(chosen)

    async def _list_by_facts(self, index: RuleIndex, now: datetime) -> set[str]:
        found, book = self._facts.list_jobs_with_expiring_secrets(index.with_secrets, now), index.book
        if index.letters_within:
            found |= await self._facts.list_jobs_with_letters(now, index.letters_within) & index.jobs
        found |= {each.subject for each in self._alerts.list_all() if book.rules_of(each.subject).needs.is_timed}
        return found
