"""Why nothing was notified, and the answer in one sentence. Pure. Used by scheduler.alerting.explanation.explaining."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.values import Member, Suppression
from jobs.runs import Outcome, Run, Trigger
from scheduler.alerting.explanation.incidents import describe_failed_delivery, describe_notified, find_member
from scheduler.alerting.explanation.values import RuleExplanation
from scheduler.features.backtest.messages import IncidentHistory


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What was so at the instant. `runs`: the newest ones. `incidents`: of the job, the newest first.

    `failing_channels`: by name, the error of the newest attempt.
    """

    job: str
    at: datetime
    is_enabled: bool
    rules: tuple[RuleExplanation, ...]
    runs: tuple[Run, ...]
    pause: Suppression | None
    incidents: tuple[IncidentHistory, ...]
    blind: IncidentHistory | None = None
    failing_channels: Mapping[str, str] = field(default_factory=dict)

    def open_incident(self) -> tuple[IncidentHistory, Member] | None:
        """Return the incident that an alert of the job belonged to at the instant, with this alert."""
        for history in self.incidents:
            member = find_member(history, self.job)
            if member is None or member.fired_at > self.at or history.incident.opened_at > self.at:
                continue
            if member.resolved_at is None or member.resolved_at > self.at:
                return history, member
        return None


def summarize(found: Circumstances) -> str:
    """Return one or two sentences: what the alert did, and who was notified or why not."""
    opened = found.open_incident()
    if opened is not None:
        return _summarize_incident(found, *opened)
    firing = [rule for rule in found.rules if rule.status == "firing"]
    if firing:
        return f"{found.job}: {firing[0].name} fires; its incident opens when its group wait is over."
    pending = [rule for rule in found.rules if rule.status == "pending"]
    if pending:
        return f"{found.job}: {pending[0].name} is pending: {pending[0].needed}."
    reason = next(find_reasons(found), "no condition is met")
    return f"{found.job} has no alert at {found.at:%Y-%m-%d %H:%M:%S} UTC: {reason}."


def _summarize_incident(found: Circumstances, history: IncidentHistory, member: Member) -> str:
    incident = history.incident
    since = f"{member.failing_since:%H:%M:%S}"
    if member.parent == SCHEDULER:
        return (
            f"{found.job} is not notified: the scheduler itself was blind, so the alert does not describe its target "
            f"(incident {incident.id})."
        )
    if member.parent:
        parent = find_member(history, member.parent) or incident.lead_member
        notified = describe_notified(history, found.at) or "not notified yet"
        return (
            f"{found.job} fails since {since} and is not notified separately: its parent {member.parent} fails since "
            f"{parent.failing_since:%H:%M:%S} (incident {incident.id}, {notified})."
        )
    text = f"{found.job} fails since {since}: {member.evidence} (incident {incident.id}"
    if found.job != incident.lead.subject:
        text += f", with {incident.lead.subject}" + (f" because of the same {incident.cause}" if incident.cause else "")
    notified = describe_notified(history, found.at)
    if notified:
        return f"{text}, {notified})."
    reason = describe_failed_delivery(history, found.at) or next(find_reasons(found), "no pass has announced it yet")
    return f"{text}). Not notified: {reason}."


def find_reasons(found: Circumstances) -> Iterator[str]:
    """Yield why no notification is sent, the most important reason first."""
    if not found.is_enabled:
        yield "the job is disabled, so its rules do not apply"
        return
    if not found.rules:
        yield "the job has no alert rule"
        return
    if found.blind is not None:
        blind = found.blind.incident
        yield f"the scheduler itself was blind (incident {blind.id}): {blind.lead_member.evidence}"
    if found.pause is not None:
        yield f"the job is paused{_until(found.pause)}{_reason(found.pause)}"
    held = {rule.held_back_by: rule.name for rule in found.rules if rule.held_back_by is not None}
    for suppression, name in held.items():
        if suppression != found.pause:
            yield f"the {suppression.titles} holds back {name}{_until(suppression)}{_reason(suppression)}"
    yield from _reasons_of_runs(found)
    for rule in found.rules:
        if rule.needed and rule.status in ("inactive", "resolved"):
            yield f"{rule.name}: {rule.needed} ({rule.evidence})"
        if not rule.channels:
            yield f"{rule.name}: no channel would be notified: {rule.routing}"
        for channel in rule.channels:
            if channel in found.failing_channels:
                yield f"the channel {channel} fails: {found.failing_channels[channel]}"


def _reasons_of_runs(found: Circumstances) -> Iterator[str]:
    if not found.runs:
        yield "the job has no run that is stored from before this instant"
        return
    newest = found.runs[0]
    if newest.outcome is Outcome.SKIPPED:
        yield f"the newest run ({newest.due_at:%H:%M:%S}) was skipped and does not count: {newest.message.rstrip('.')}"
    elif newest.outcome is Outcome.CANCELLED:
        yield f"the newest run ({newest.due_at:%H:%M:%S}) was cancelled and does not count"
    elif newest.trigger not in (Trigger.SCHEDULE, Trigger.DEPENDENCY):
        yield f"the newest run was requested ({newest.trigger}): it counts only if triggers of a rule names that"


def _until(suppression: Suppression) -> str:
    return "" if suppression.until is None else f" until {suppression.until:%Y-%m-%d %H:%M} UTC"


def _reason(suppression: Suppression) -> str:
    return f" ({suppression.reason})" if suppression.reason else ""
