"""Why nothing was notified, and the answer in one sentence: from the stored incidents of the job, and by replays
without what held notifications back. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.routes import Route, RouteTimes, RoutingTable
from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.values import AlertDecision, Member, Suppression, SuppressionKind, Transition, TransitionKind
from jobs.runs import Outcome, Run, Trigger
from scheduler.alerting.replay.history import ReplayDefinitions
from scheduler.alerting.rule_book import RuleBook
from scheduler.features.alerts.models import ExplainedIncidentModel
from scheduler.features.backtest.messages import IncidentHistory, NotifiedMessage
from scheduler.features.backtest.service import PreparedBacktest

_DELIVERY = ("delivered", "send_failed", "moved_to_fallback", "given_up")
_SHOWN_MESSAGES = 20


def explain_incident(history: IncidentHistory, job: str) -> ExplainedIncidentModel:
    """Return what happened with the alerts of a job in an incident: of the others only what concerns it."""
    incident = history.incident
    lines = sorted(_list_lines(history, job), key=lambda each: each[0])
    texts = dict.fromkeys(f"{at:%H:%M:%S} {text}" for at, text in lines)
    return ExplainedIncidentModel(id=incident.id, status=incident.status, lead=incident.lead.subject, lines=list(texts))


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


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """`rule`: such as `failed: open_after 3 of 5`. `status`: of its alert at the instant; `evidence`: the numbers then.

    `needed`: what was missing for the alert to fire; empty if it fires, or if unknown. `held_back_by`: what
    holds back its notifications then. `channels`: which would be notified, and by which rule or route.
    """

    name: str
    rule: str
    status: str
    evidence: str
    since: datetime | None = None
    needed: str = ""
    channels: tuple[str, ...] = ()
    routing: str = ""
    held_back_by: Suppression | None = None


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


def summarize(case: Circumstances) -> str:
    """Return one or two sentences: what the alert did, and who was notified or why not."""
    opened = case.open_incident()
    if opened is not None:
        return _summarize_incident(case, *opened)
    firing = [rule for rule in case.rules if rule.status == "firing"]
    if firing:
        return f"{case.job}: {firing[0].name} fires; its incident opens when its group wait is over."
    pending = [rule for rule in case.rules if rule.status == "pending"]
    if pending:
        return f"{case.job}: {pending[0].name} is pending: {pending[0].needed}."
    reason = next(find_reasons(case), "no condition is met")
    return f"{case.job} has no alert at {case.at:%Y-%m-%d %H:%M:%S} UTC: {reason}."


def _summarize_incident(case: Circumstances, history: IncidentHistory, member: Member) -> str:
    incident = history.incident
    since = f"{member.failing_since:%H:%M:%S}"
    if member.parent == SCHEDULER:
        return (
            f"{case.job} is not notified: the scheduler itself was blind, so the alert does not describe its target "
            f"(incident {incident.id})."
        )
    if member.parent:
        parent = find_member(history, member.parent) or incident.lead_member
        notified = describe_notified(history, case.at) or "not notified yet"
        return (
            f"{case.job} fails since {since} and is not notified separately: its parent {member.parent} fails since "
            f"{parent.failing_since:%H:%M:%S} (incident {incident.id}, {notified})."
        )
    text = f"{case.job} fails since {since}: {member.evidence} (incident {incident.id}"
    if case.job != incident.lead.subject:
        text += f", with {incident.lead.subject}" + (f" because of the same {incident.cause}" if incident.cause else "")
    notified = describe_notified(history, case.at)
    if notified:
        return f"{text}, {notified})."
    reason = describe_failed_delivery(history, case.at) or next(find_reasons(case), "no pass has announced it yet")
    return f"{text}). Not notified: {reason}."


def find_reasons(case: Circumstances) -> Iterator[str]:
    """Yield why no notification is sent, the most important reason first."""
    if not case.is_enabled:
        yield "the job is disabled, so its rules do not apply"
        return
    if not case.rules:
        yield "the job has no alert rule"
        return
    if case.blind is not None:
        blind = case.blind.incident
        yield f"the scheduler itself was blind (incident {blind.id}): {blind.lead_member.evidence}"
    if case.pause is not None:
        yield f"the job is paused{_until(case.pause)}{_reason(case.pause)}"
    held = {rule.held_back_by: rule.name for rule in case.rules if rule.held_back_by is not None}
    for suppression, name in held.items():
        if suppression != case.pause:
            yield f"the {suppression.titles} holds back {name}{_until(suppression)}{_reason(suppression)}"
    yield from _reasons_of_runs(case)
    for rule in case.rules:
        if rule.needed and rule.status in ("inactive", "resolved"):
            yield f"{rule.name}: {rule.needed} ({rule.evidence})"
        if not rule.channels:
            yield f"{rule.name}: no channel would be notified: {rule.routing}"
        for channel in rule.channels:
            if channel in case.failing_channels:
                yield f"the channel {channel} fails: {case.failing_channels[channel]}"


def _reasons_of_runs(case: Circumstances) -> Iterator[str]:
    if not case.runs:
        yield "the job has no run that is stored from before this instant"
        return
    newest = case.runs[0]
    if newest.is_unknown:
        at, why = f"{newest.due_at:%H:%M:%S}", newest.message.rstrip(".")
        yield f"the newest run ({at}) is unknown, so it opens and closes only alerts about that: {why}"
    elif newest.outcome is Outcome.SKIPPED:
        yield f"the newest run ({newest.due_at:%H:%M:%S}) was skipped and does not count: {newest.message.rstrip('.')}"
    elif newest.outcome is Outcome.CANCELLED:
        yield f"the newest run ({newest.due_at:%H:%M:%S}) was cancelled and does not count"
    elif newest.trigger not in (Trigger.SCHEDULE, Trigger.DEPENDENCY):
        yield f"the newest run was requested ({newest.trigger}): it counts only if triggers of a rule names that"


def _until(suppression: Suppression) -> str:
    return "" if suppression.until is None else f" until {suppression.until:%Y-%m-%d %H:%M} UTC"


def _reason(suppression: Suppression) -> str:
    return f" ({suppression.reason})" if suppression.reason else ""


_ENTERING = frozenset({TransitionKind.OPENED, TransitionKind.REOPENED, TransitionKind.JOINED, TransitionKind.RAISED})

_ANNOUNCING = frozenset({"announced", "released", "announced_joined"})


class _BookWithoutParents(RuleBook):
    def parents_of(self, subject: str) -> Sequence[str]:
        return ()


def describe_counterfactuals(prepared: PreparedBacktest, case: Circumstances) -> Iterator[str]:
    """Yield for instance: `silent until 06:00; without that it would have opened at 03:02 ...`."""
    opened = case.open_incident()
    parent = "" if opened is None else opened[1].parent
    if parent:
        definitions = replace(prepared.definitions, book=_BookWithoutParents(prepared.definitions.book.snapshot))
        text = _describe_opening(prepared, definitions, case)
        yield f"without the parent {parent} {text}"
    suppression = _find_suppression(case)
    if suppression is not None:
        text = _describe_opening(prepared, _without_suppressions(prepared.definitions), case)
        until = "" if suppression.until is None else f" until {_clock(suppression.until, case.at)}"
        yield f"{_KINDS.get(suppression.kind, 'held back')}{until} ({suppression.title}); without that {text}"


_KINDS = {
    SuppressionKind.WINDOW: "in a maintenance window",
    SuppressionKind.SILENCE: "silent",
    SuppressionKind.MUTE_TIME: "muted",
}


def _find_suppression(case: Circumstances) -> Suppression | None:
    opened = case.open_incident()
    held = None if opened is None else opened[0].incident.suppression
    if held is not None and held.kind in _KINDS:
        return held
    return next((rule.held_back_by for rule in case.rules if rule.held_back_by is not None), None)


def _without_suppressions(definitions: ReplayDefinitions) -> ReplayDefinitions:
    routes = tuple(_without_mute(route) for route in definitions.routing.routes)
    table = RoutingTable(routes, definitions.routing.rotas)
    return ReplayDefinitions(definitions.book, SuppressionSet(), table, definitions.group_wait)


def _without_mute(route: Route) -> Route:
    return route.model_copy(update={"time": RouteTimes(only=route.time.only)}) if route.time.mute else route


def _describe_opening(prepared: PreparedBacktest, definitions: ReplayDefinitions, case: Circumstances) -> str:
    opening = _find_opening(prepared.replay(definitions), case)
    if opening is None:
        return "nothing would have been notified until then"
    history, transition, channels = opening
    notified = f"and notified {', '.join(channels)}" if channels else "without a notification"
    if history.subject != case.job:
        cause = f" because of the same {history.incident.cause}" if history.incident.cause else ""
        return (
            f"it would have joined the incident of {history.subject}{cause} at {_clock(transition.at, case.at)} "
            f"{notified}"
        )
    reason = transition.text.partition(": ")[2] or transition.text
    return f"it would have opened at {_clock(transition.at, case.at)} {notified}: {reason}"


def _find_opening(
    histories: Sequence[IncidentHistory], case: Circumstances
) -> tuple[IncidentHistory, Transition, list[str]] | None:
    """Return the latest opening before the instant, or the latest joining, with the channels that it notifies."""
    entered = [
        (history, each)
        for history in histories
        for each in history.transitions
        if each.key is not None and each.key.subject == case.job and each.at <= case.at and each.kind in _ENTERING
    ]
    if not entered:
        return None
    history, latest = max(entered, key=lambda each: each[1].at)
    sent = [each for each in history.messages if latest.at <= each.at <= case.at and str(each.kind) != "resolved"]
    first = min((each.at for each in sent), default=None)
    return history, latest, [each.channel for each in sent if each.at == first] or _list_announced(history, latest)


def _list_announced(history: IncidentHistory, entered: Transition) -> list[str]:
    """Return the channels that were notified of an alert first: the messages of another job's incident are not read."""
    announced = (each for each in history.decisions if each.at >= entered.at and each.code in _ANNOUNCING)
    channels = next((each.inputs.get("channels", "") for each in announced), "")
    return channels.split(", ") if channels else []


def _clock(moment: datetime, at: datetime) -> str:
    is_near = abs(moment - at) < timedelta(hours=18)
    return f"{moment:%H:%M:%S} UTC" if is_near else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
