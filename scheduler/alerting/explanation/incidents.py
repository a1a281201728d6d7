"""What stored incidents say about the alerts of one job. Pure. Used by scheduler.alerting.explanation.explaining."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from jobs.incidents.values import AlertDecision, Member, Transition
from scheduler.alerting.backtest.messages import IncidentHistory, NotifiedMessage
from scheduler.alerting.explanation.values import IncidentExplanation

_DELIVERY = ("delivered", "send_failed", "moved_to_fallback", "given_up")
_SHOWN_MESSAGES = 20


def explain_incident(history: IncidentHistory, job: str) -> IncidentExplanation:
    """Return what happened with the alerts of a job in an incident: of the others only what concerns it."""
    incident = history.incident
    lines = sorted(_list_lines(history, job), key=lambda each: each[0])
    texts = dict.fromkeys(f"{at:%H:%M:%S} {text}" for at, text in lines)
    return IncidentExplanation(incident.id, str(incident.status), incident.lead.subject, tuple(texts))


def find_member(history: IncidentHistory, job: str) -> Member | None:
    """Return the alert of a job in an incident, the one that is not resolved first."""
    members = [member for member in history.incident.members if member.key.subject == job]
    return max(members, key=lambda member: (member.resolved_at is None, member.fired_at), default=None)


def describe_notified(history: IncidentHistory, until: datetime) -> str:
    """Return who was notified of the opening: `notified mail at 03:00:40`; empty if none was."""
    opened = [each for each in history.messages if each.at <= until and str(each.kind) in _OPENINGS]
    if not opened:
        return ""
    latest = max(each.at for each in opened)
    channels = ", ".join(each.channel for each in opened if each.at == latest)
    return f"notified {channels} at {latest:%H:%M:%S}"


_OPENINGS = ("opened", "reopened", "flapping")


def _list_lines(history: IncidentHistory, job: str) -> Iterator[tuple[datetime, str]]:
    is_lead = history.subject == job
    for transition in history.transitions:
        if is_lead or _concerns(transition, job):
            yield transition.at, f"{transition.kind}: {transition.text}"
    for decision in history.decisions:
        if decision.code in _DELIVERY:
            if is_lead or _is_about_opening(decision, history):
                yield decision.at, decision.text
        elif decision.key is None or decision.key.subject == job:
            yield decision.at, _describe(decision)
    yield from _list_messages(history.messages)


def _concerns(transition: Transition, job: str) -> bool:
    return transition.key is None or transition.key.subject == job or str(transition.kind) in _OPENINGS


def _is_about_opening(decision: AlertDecision, history: IncidentHistory) -> bool:
    number = decision.inputs.get("number")
    return any(str(each.number) == number and str(each.kind) in _OPENINGS for each in history.transitions)


def _describe(decision: AlertDecision) -> str:
    channels = decision.inputs.get("channels")
    return f"{decision.text} ({channels})" if channels else decision.text


def _list_messages(messages: Iterable[NotifiedMessage]) -> Iterator[tuple[datetime, str]]:
    for each in list(messages)[:_SHOWN_MESSAGES]:
        yield each.at, f"notification to {each.channel}: {each.kind}"
