"""One incident and its messages for `validate`, tests and the documents: templates are rendered with it beforehand.

Used by jobs.notifications.templates.message_templates and jobs.notifications.templates.definition.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member, Notification, Transition, TransitionKind
from jobs.notifications.message import Message
from jobs.notifications.templates.details import MessageDetails
from jobs.notifications.templates.incident_message import make_message

_SINCE = datetime(2026, 11, 28, 3, 1, tzinfo=UTC)
_KEY = AlertKey("checkout", "failed")
_PAYMENTS = AlertKey("payments", "failed")

SAMPLE_DETAILS = MessageDetails(
    target="GET https://checkout.example.com/health",
    description="Health of the checkout",
    expected="status 200",
    observed="503",
    answer="Service Unavailable: no healthy upstream",
    last_good_at=_SINCE - timedelta(minutes=1),
    changes=("the job file (checkout.yaml)",),
    tags={"team": "payments", "stage": "prod"},
    runbook="https://wiki.example.com/checkout",
    link="https://scheduler.example.com/incidents/mih3k8v1-5f0c2a9e",
    also_notified=("mail",),
)

_TEXTS = {
    TransitionKind.OPENED: (2, "3 of 5 runs failed."),
    TransitionKind.JOINED: (3, "payments fails too: it has the same host, api.example.com."),
    TransitionKind.RAISED: (4, "The severity rose from degraded to down."),
    TransitionKind.FLAPPING: (40, "It was opened and resolved 6 times within 1 h."),
    TransitionKind.ACKNOWLEDGED: (5, "Acknowledged by anna."),
    TransitionKind.SNOOZED: (6, "Snoozed by anna until 06:00."),
    TransitionKind.UNACKNOWLEDGED: (6, "The acknowledgement by anna was withdrawn by anna."),
    TransitionKind.NOTE_ADDED: (7, "Failover started."),
    TransitionKind.LEFT: (8, "payments still fails and is a separate incident now."),
    TransitionKind.REMINDED: (62, "Still open."),
    TransitionKind.ESCALATED: (30, "Not acknowledged within 30 min."),
    TransitionKind.RESOLVED: (9, "2 runs succeeded."),
    TransitionKind.REOPENED: (12, "Failed again within 10 min."),
}
"""The minutes after the first failure, and the text of the transition."""

_BY_PERSONS = frozenset(
    {
        TransitionKind.ACKNOWLEDGED,
        TransitionKind.SNOOZED,
        TransitionKind.UNACKNOWLEDGED,
        TransitionKind.NOTE_ADDED,
    }
)


def sample_transition(kind: TransitionKind, number: int = 1) -> tuple[Incident, Transition]:
    """Return the sample incident after a transition of this kind."""
    minutes, text = _TEXTS[kind]
    at = _SINCE + timedelta(minutes=minutes)
    evidence = "3 of 5 runs failed: status 503"
    members = [Member(_KEY, 1, "down", 20, _SINCE + timedelta(minutes=2), _SINCE, evidence)]
    if kind is TransitionKind.JOINED:
        members.append(replace(members[0], key=_PAYMENTS, failing_since=_SINCE + timedelta(minutes=1)))
    incident = Incident("mih3k8v1-5f0c2a9e", number, IncidentStatus.OPEN, members[0].fired_at, tuple(members), _KEY)
    if kind is TransitionKind.RESOLVED:
        ended = replace(members[0], resolved_at=at)
        incident = replace(incident, status=IncidentStatus.RESOLVED, resolved_at=at, members=(ended,))
    if kind is TransitionKind.ACKNOWLEDGED:
        incident = replace(incident, acknowledged_by="anna", acknowledged_at=at)
    if kind is TransitionKind.SNOOZED:
        incident = replace(incident, snoozed_until=datetime(2026, 11, 28, 6, tzinfo=UTC))
    key = _PAYMENTS if kind in (TransitionKind.JOINED, TransitionKind.LEFT) else None
    actor = "anna" if kind in _BY_PERSONS else ""
    return incident, Transition(incident.id, number, kind, at, text, actor, key)


def sample_message(kind: TransitionKind = TransitionKind.OPENED, number: int = 1, channel: str = "sample") -> Message:
    """Return the message of a transition with the default templates."""
    incident, transition = sample_transition(kind, number)
    notification = Notification(incident.id, number, kind, channel, transition.at)
    is_over = kind is TransitionKind.RESOLVED
    details = replace(SAMPLE_DETAILS, expected="", observed="", answer="") if is_over else SAMPLE_DETAILS
    return make_message(incident, transition, notification, details)


SAMPLE_MESSAGE = sample_message()
