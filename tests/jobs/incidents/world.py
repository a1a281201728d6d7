"""A world in virtual time for passes of the engine: jobs that fail and recover, with parents and suppressions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from jobs.alerting.alert import Alert, AlertStatus, Verdict, advance
from jobs.incidents.engine.facts import AlertPolicy, DueChannel, IncidentStep
from jobs.incidents.engine.passing import PassResult, run_pass
from jobs.incidents.suppression.finding import SuppressionSet, list_pauses
from jobs.incidents.suppression.windows import AlertSubject
from jobs.incidents.values import AlertDecision, AlertKey, Incident, Notification, SharedCause, Suppression, Transition

START = datetime(2026, 3, 1, 3, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
FIRST_RUN = 2 * MINUTE
RULE = "failed"


class World:
    """Implements AlertFacts, and holds what passes have stored."""

    def __init__(self, *, parents: dict[str, list[str]] | None = None, policy: AlertPolicy | None = None) -> None:
        self.now = START
        self.group_wait = 10 * SECOND
        self.parents = parents or {}
        self.policies: defaultdict[str, AlertPolicy | None] = defaultdict(lambda: policy or AlertPolicy())
        self.checked: dict[str, datetime] = {}
        self.started: datetime | None = None
        self.causes: dict[str, list[str]] = {}
        self.suppressions: dict[str, Suppression] = {}
        self.channels: Sequence[str | DueChannel] = ("mail",)
        self.alerts: dict[AlertKey, Alert] = {}
        self.incidents: dict[str, Incident] = {}
        self.transitions: list[Transition] = []
        self.decisions: list[AlertDecision] = []
        self.sent: list[Notification] = []

    # --- AlertFacts ---

    def policy_of(self, key: AlertKey) -> AlertPolicy | None:
        return self.policies[key.subject]

    def parents_of(self, subject: str) -> Sequence[str]:
        return self.parents.get(subject, ())

    def is_checked_since(self, subject: str, since: datetime) -> bool:
        return self.checked.get(subject, START - HOUR) >= since

    @property
    def started_at(self) -> datetime | None:
        return self.started

    def first_run_end(self, subject: str, *, is_missed: bool = False) -> datetime | None:
        """Each job runs within FIRST_RUN of a start, or is not waited for any more. Each start misses a run."""
        if self.started is None or self.is_checked_since(subject, self.started):
            return None
        end = self.started + FIRST_RUN
        return end if self.now < end else None

    def causes_of(self, key: AlertKey) -> Sequence[str]:
        return self.causes.get(key.subject, ())

    def find_shared(self, cause: str, since: datetime) -> SharedCause:
        """Each job that is not failing and was checked since is fine."""
        sharing = sorted({subject for subject, causes in self.causes.items() if cause in causes})
        failing = {key.subject for key, alert in self.alerts.items() if alert.is_firing}
        fine = [each for each in sharing if each not in failing and self.is_checked_since(each, since)]
        return SharedCause(cause, len(failing & set(sharing)), len(sharing), len(fine), tuple(fine[:5]))

    def suppression_of(self, key: AlertKey) -> Suppression | None:
        return self.suppressions.get(key.subject)

    def channels_of(self, incident: Incident) -> Sequence[str | DueChannel]:
        return self.channels

    # --- what happens ---

    def fail(self, *subjects: str) -> None:
        self._judge(subjects, Verdict(True, "3 of 3 runs failed", self.now - MINUTE))

    def fail_rule(self, subject: str, rule: str) -> None:
        """Let the alert of a further rule fire."""
        key, verdict = AlertKey(subject, rule), Verdict(True, "p95 is 900 ms", self.now)
        self.alerts[key] = advance(self.alerts.get(key, Alert(subject, rule)), verdict, self.now)

    def recover(self, *subjects: str) -> None:
        self._judge(subjects, Verdict(False))

    def _judge(self, subjects: Sequence[str], verdict: Verdict) -> None:
        for subject in subjects:
            key = AlertKey(subject, RULE)
            self.checked[subject] = self.now
            self.alerts[key] = advance(self.alerts.get(key, Alert(subject, RULE)), verdict, self.now)

    def wait(self, time: timedelta) -> None:
        """Let time pass, with a pass at each instant at which one is due, and one at the end."""
        until = self.now + time
        result = self.run_pass()
        while result.due_at is not None and result.due_at < until:
            self.now = max(result.due_at, self.now + SECOND)
            result = self.run_pass()
        self.now = until
        self.run_pass()

    def run_pass(self) -> PassResult:
        """Run a pass and store it."""
        is_open = [each for each in self.incidents.values() if each.is_open]
        ended = sorted((each for each in self.incidents.values() if not each.is_open), key=lambda each: each.id)
        result = run_pass(is_open, list(self.alerts.values()), self, resolved=ended[::-1])
        for step in result.steps:
            self.store(step)
        for key in result.settled:
            self.alerts[key] = Alert(key.subject, key.rule, AlertStatus.RESOLVED, self.alerts[key].number)
        return result

    def store(self, step: IncidentStep) -> None:
        self.incidents[step.incident.id] = step.incident
        self.transitions += step.transitions
        self.decisions += step.decisions
        self.sent += step.notifications

    def sent_kinds(self) -> Counter[str]:
        return Counter(str(each.kind) for each in self.sent)

    def codes(self) -> Counter[str]:
        return Counter(each.code for each in self.decisions)


def find_pause(job: AlertSubject, suppressions: SuppressionSet, now: datetime) -> Suppression | None:
    """Return the window because of which the job does not run now."""
    return next((pause.suppression for pause in list_pauses([job], suppressions, now)), None)
