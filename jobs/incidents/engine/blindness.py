"""While the scheduler itself cannot reach anything, alerts do not describe their targets.

Self-checks fire an alert of subject SCHEDULER and severity BLIND. Alerts that fire meanwhile are members behind its
incident. After it, each leaves when a run of its subject has confirmed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from jobs.alerting.alert import Alert
from jobs.incidents.engine.facts import BLIND, BLIND_MARGIN, LONGEST_BLIND_WAIT, SCHEDULER, AlertFacts
from jobs.incidents.values import AlertKey, Incident, Member


def find_blind_since(firing: Iterable[Alert], facts: AlertFacts) -> datetime | None:
    """Return since when alerts do not describe their targets; None while the scheduler is not blind."""
    since = [alert.failing_since or alert.changed_at for alert in firing if _is_blinding(alert, facts)]
    return min((each - BLIND_MARGIN for each in since if each is not None), default=None)


def find_blind_end(incident: Incident) -> datetime | None:
    """Return when the blindness ended behind which members of this incident are; None if it lasts."""
    own = [member for member in incident.members if member.key.subject == SCHEDULER]
    ends = [member.resolved_at for member in own if member.resolved_at is not None]
    return max(ends) if ends and len(ends) == len(own) else None


def unconfirmed_until(member: Member, blind_end: datetime | None, facts: AlertFacts) -> datetime | None:
    """Return until when a member behind blindness that is over waits for a run; None if it need not."""
    if blind_end is None or member.parent != SCHEDULER:
        return None
    until = blind_end + LONGEST_BLIND_WAIT
    return None if facts.now >= until or facts.is_checked_since(member.key.subject, blind_end) else until


def _is_blinding(alert: Alert, facts: AlertFacts) -> bool:
    policy = facts.policy_of(AlertKey(alert.subject, alert.rule)) if alert.subject == SCHEDULER else None
    return policy is not None and policy.severity == BLIND
