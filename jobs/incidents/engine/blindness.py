"""While the scheduler itself cannot reach anything, alerts do not describe their targets.

Self-checks fire an alert of subject SCHEDULER and severity BLIND. Alerts that fire meanwhile are members behind its
incident. After it, each leaves when a run of its subject has confirmed it: see confirming.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from jobs.alerting.alert import Alert
from jobs.incidents.engine.facts import BLIND, BLIND_MARGIN, IDENTITY, SCHEDULER, AlertFacts
from jobs.incidents.values import AlertKey


def find_blind_since(firing: Iterable[Alert], facts: AlertFacts) -> datetime | None:
    """Return since when alerts do not describe their targets; None while the scheduler is not blind."""
    since = [alert.failing_since or alert.changed_at for alert in firing if _is_blinding(alert, facts)]
    return min((each - BLIND_MARGIN for each in since if each is not None), default=None)


def _is_blinding(alert: Alert, facts: AlertFacts) -> bool:
    if alert.subject != SCHEDULER or alert.rule == IDENTITY:
        return False
    policy = facts.policy_of(AlertKey(alert.subject, alert.rule))
    return policy is not None and policy.severity == BLIND
