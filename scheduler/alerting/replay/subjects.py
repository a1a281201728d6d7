"""The jobs and groups of a replay: alerts, pauses, newest runs. Used by scheduler.alerting.replay.replaying."""

from __future__ import annotations

from datetime import datetime

from jobs.incidents.suppression.finding import counts_as_sample
from jobs.incidents.values import AlertKey, Suppression
from scheduler.alerting.causes import find_causes
from scheduler.alerting.replay.definitions import ReplayDefinitions
from scheduler.alerting.replay.group_alerts import GroupAlerts
from scheduler.alerting.replay.history import KnownCertificate, PauseSpan, ReplayInput, ReplayRun
from scheduler.alerting.replay.job_alerts import AlertChange, JobAlerts


class ReplayedSubjects:
    """`pauses`: what holds back the notifications of paused jobs."""

    def __init__(self, definitions: ReplayDefinitions, given: ReplayInput) -> None:
        self._definitions = definitions
        self._book = definitions.book
        self._jobs: dict[str, JobAlerts] = {}
        self._groups = {name: GroupAlerts(name, rules) for name, rules in self._book.groups.items()}
        self._touched: set[str] = set()
        self.pauses: dict[str, Suppression] = {}
        windows = (*definitions.suppressions.windows, *(each.window for each in definitions.suppressions.requested))
        self._has_excluded_time = any(not window.counts for window in windows)

    def add_run(self, job: str, run: ReplayRun) -> list[AlertChange]:
        counts = run.sample is None or self._counts(job, run)
        changes = self._job(job).add(run, counts=counts)
        if run.sample is not None and counts:
            for name in self._book.groups_by_job.get(job, ()):
                changes += self._groups[name].add(job, run.sample)
                self._touched.add(name)
        self._touched.add(job)
        return changes

    def pause(self, job: str, pause: PauseSpan, now: datetime) -> list[AlertChange]:
        """Begin or end a pause."""
        if pause.end is not None and pause.end <= now:
            self.pauses.pop(job, None)
            self._job(job).resume(pause.end)
            for name in self._book.groups_by_job.get(job, ()):
                self._groups[name].resume(job, pause.end)
            return []
        self.pauses[job] = pause.suppression
        changes = []
        for name in self._book.groups_by_job.get(job, ()):
            changes += self._groups[name].pause(job, now)
            self._touched.add(name)
        return changes

    def learn_certificate(self, job: str, certificate: KnownCertificate) -> list[AlertChange]:
        self._touched.add(job)
        return self._job(job).learn_certificate(certificate.expires_at, certificate.at)

    def take_touched(self) -> set[str]:
        """Return the subjects whose next instant may have changed since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    def next_due(self, subject: str, now: datetime) -> datetime | None:
        group = self._groups.get(subject)
        return self._job(subject).next_due(now) if group is None else group.next_due(now)

    def judge_time(self, subject: str, now: datetime) -> list[AlertChange]:
        self._touched.add(subject)
        group = self._groups.get(subject)
        return self._job(subject).judge_time(now) if group is None else group.judge(now)

    def settle(self, key: AlertKey) -> None:
        group = self._groups.get(key.subject)
        if group is None:
            self._job(key.subject).settle(key.rule)
        else:
            group.settle(key.rule)

    def last_due(self, job: str) -> datetime | None:
        found = self._jobs.get(job)
        return None if found is None else found.last_due

    def causes_of(self, subject: str) -> tuple[str, ...]:
        entry = self._book.snapshot.find_job(subject)
        return () if entry is None else find_causes(entry.job, None)

    def _job(self, name: str) -> JobAlerts:
        found = self._jobs.get(name)
        if found is None:
            found = self._jobs[name] = JobAlerts(name, self._book.rules_of(name), self.causes_of(name))
        return found

    def _counts(self, job: str, run: ReplayRun) -> bool:
        if not self._has_excluded_time:
            return True
        suppressions = self._definitions.suppressions_at(run.finished_at)
        return counts_as_sample(self._book.describe(job), suppressions, run.due_at)
