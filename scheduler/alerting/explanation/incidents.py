"""What stored incidents say about the alerts of one job. Pure. Used by scheduler.alerting.explanation.explaining."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from jobs.incidents.values import AlertDecision, Member, Transition
from scheduler.alerting.explanation.values import IncidentExplanation
from scheduler.features.backtest.messages import IncidentHistory, NotifiedMessage

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
    """Return who was notified of the opening: `notified mail at 03:00:40`; empty if none was.

    A channel that failed counts when it, or the fallback channel in its place, has received the message.
    """
    attempts = _list_attempts(history, until)
    failed = {each.inputs["channel"] for each in attempts}
    at = {each.channel: each.at for each in history.messages if each.at <= until and str(each.kind) in _OPENINGS}
    received = {channel: sent for channel, sent in at.items() if channel not in failed}
    received |= {each.inputs["channel"]: each.at for each in attempts if each.code == "delivered"}
    if not received:
        return ""
    latest = max(received.values())
    return f"notified {', '.join(each for each in received if received[each] == latest)} at {latest:%H:%M:%S}"


def describe_failed_delivery(history: IncidentHistory, until: datetime) -> str:
    """Return what the newest failed attempt to deliver the opening ended with; empty if none failed."""
    failed = [each for each in _list_attempts(history, until) if each.code != "delivered"]
    return f"{failed[-1].inputs['channel']}: {failed[-1].text}" if failed else ""


def _list_attempts(history: IncidentHistory, until: datetime) -> list[AlertDecision]:
    """Return what became of the opening in channels that failed at least once, and in their fallback channels."""
    decided = [
        each
        for each in history.decisions
        if each.code in _DELIVERY and each.at <= until and _is_about_opening(each, history)
    ]
    if all(each.code == "delivered" for each in decided):
        return []
    failed = {each.inputs["channel"] for each in decided if each.code != "delivered"}
    planned = {each.channel for each in history.messages if str(each.kind) in _OPENINGS}
    return [each for each in decided if each.inputs["channel"] in failed or each.inputs["channel"] not in planned]


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
