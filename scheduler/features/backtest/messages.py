"""What was or would have been sent about incidents, as values that can be compared.

What was sent follows from the stored transitions and decisions of an incident: its outbox is empty by now. They also
say what a replay cannot derive from runs: what people did, and alerts whose conditions are not about runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import AlertDecision, AlertKey, Incident, Notification, Transition, TransitionKind
from scheduler.alerting.replay.history import ActionKind, RecordedAction, RecordedFiring, ReplayedIncident
from scheduler.stores.alerting.incident_log import IncidentLog


@fast_frozen(frozen=True, slots=True)
class NotifiedMessage:
    """One notification. `text`: of the transition that it is about."""

    at: datetime
    channel: str
    kind: TransitionKind
    text: str = ""


@dataclass(frozen=True, slots=True)
class IncidentHistory:
    """An incident with what was sent about it, in the order of time."""

    incident: Incident
    messages: tuple[NotifiedMessage, ...] = ()
    transitions: Sequence[Transition] = ()
    decisions: Sequence[AlertDecision] = field(default=())

    @property
    def subject(self) -> str:
        return self.incident.lead.subject


def history_of_replay(replayed: ReplayedIncident) -> IncidentHistory:
    messages = tuple(_message(each, _find_text(each, replayed.transitions)) for each in replayed.notifications)
    return IncidentHistory(replayed.incident, messages, replayed.transitions, replayed.decisions)


def history_of_stored(
    incident: Incident, transitions: Sequence[Transition], decisions: Sequence[AlertDecision]
) -> IncidentHistory:
    return IncidentHistory(incident, tuple(rebuild_messages(transitions, decisions)), transitions, decisions)


def rebuild_messages(transitions: Sequence[Transition], decisions: Sequence[AlertDecision]) -> list[NotifiedMessage]:
    """Return what passes of the engine have notified with these transitions and decisions."""
    moments = sorted({*(each.at for each in transitions), *(each.at for each in decisions)})
    rebuilding = _Rebuilding(transitions, is_collected=any(each.code in _COLLECTED for each in decisions))
    for at in moments:
        rebuilding.add_pass(
            at, [each for each in transitions if each.at == at], [each for each in decisions if each.at == at]
        )
    return rebuilding.messages


class _Rebuilding:
    """Repeats which channels had received the opening, pass by pass. `_announced`: with the instant of the digest.

    `is_collected`: decisions record the messages about alerts that joined; earlier versions sent them in the same pass.
    """

    def __init__(self, transitions: Sequence[Transition], *, is_collected: bool) -> None:
        self._transitions = transitions
        self._announced: dict[str, datetime | None] = {}
        self._is_flapping = False
        self._is_collected = is_collected
        self.messages: list[NotifiedMessage] = []

    def add_pass(self, at: datetime, now: Sequence[Transition], decided: Sequence[AlertDecision]) -> None:
        if any(transition.kind is TransitionKind.REOPENED for transition in now):
            self._announced = {}
        if not self._is_collected:
            self._add_joined(at, now, {decision.key for decision in decided if decision.code.startswith(_HELD_BACK)})
        for transition in now:
            if transition.kind in _ANNOUNCED_ALONE:
                self._send(at, self._list_announced(transition.kind), transition.kind, transition.text)
        self._is_flapping |= any(transition.kind is TransitionKind.FLAPPING for transition in now)
        self._is_flapping &= all(decision.code != "stable" for decision in decided)
        for decision in decided:
            self._add_decision(at, now, decision, dict(_parse_channels(decision.inputs.get("channels", ""))))

    def _add_decision(
        self,
        at: datetime,
        now: Sequence[Transition],
        decision: AlertDecision,
        channels: dict[str, datetime | None],
    ) -> None:
        if decision.code in ("announced", "released"):
            self._announced = channels
            self._send(at, channels, *self._find_opening(at, now))
        elif decision.code == "announced_further":
            self.messages = [each for each in self.messages if each.at < at or each.channel not in channels]
            self._announced |= channels
            self._send(at, channels, TransitionKind.OPENED, self._find_opening(at, now)[1])
        elif decision.code == "announced_joined":
            number, kind = int(decision.inputs["number"]), TransitionKind(decision.inputs["kind"])
            self._send(at, channels, kind, next((each.text for each in self._transitions if each.number == number), ""))
        elif decision.code == "escalated":
            self._announced = channels | self._announced
            self._send(at, channels, TransitionKind.ESCALATED, decision.text, is_urgent=True)

    def _list_announced(self, kind: TransitionKind) -> list[str]:
        """A channel of a digest is not reminded."""
        is_reminder = kind is TransitionKind.REMINDED
        return [channel for channel, due_at in self._announced.items() if due_at is None or not is_reminder]

    def _add_joined(self, at: datetime, now: Sequence[Transition], held_back: Collection[AlertKey | None]) -> None:
        joined = [each for each in now if each.kind in _JOINING and each.key not in held_back]
        if joined and not self._is_flapping:
            is_raised = any(each.kind is TransitionKind.RAISED for each in joined)
            kind = TransitionKind.RAISED if is_raised else TransitionKind.JOINED
            self._send(at, self._list_announced(kind), kind, joined[-1].text)

    def _find_opening(self, at: datetime, now: Sequence[Transition]) -> tuple[TransitionKind, str]:
        texts = [each.text for each in self._transitions if each.at <= at and each.kind in _OPENING]
        text = texts[-1] if texts else ""
        if self._is_flapping:
            return TransitionKind.FLAPPING, text
        is_reopened = any(each.kind is TransitionKind.REOPENED for each in now)
        return (TransitionKind.REOPENED if is_reopened else TransitionKind.OPENED), text

    def _send(
        self, at: datetime, channels: Iterable[str], kind: TransitionKind, text: str, *, is_urgent: bool = False
    ) -> None:
        for channel in channels:
            digest = None if is_urgent else self._announced.get(channel)
            self.messages.append(NotifiedMessage(_next_digest(digest, at), channel, kind, text))


def _parse_channels(text: str) -> Iterable[tuple[str, datetime | None]]:
    """Yield the channels of a decision, with the instants of their digests."""
    for part in filter(None, text.split(", ")):
        digest = _DIGEST.fullmatch(part)
        if digest is None:
            yield part, None
        else:
            yield digest[1], datetime.strptime(digest[2], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def _next_digest(digest: datetime | None, at: datetime) -> datetime:
    """Return when a channel is notified: with its digest, each day at the same time."""
    if digest is None:
        return at
    days = 0 if digest > at else (at - digest) // _DAY + 1
    return digest + days * _DAY


def _find_text(notification: Notification, transitions: Sequence[Transition]) -> str:
    """Return the text of its transition; that of the opening for one that announces it, whatever joined then."""
    kinds = next((each for each in (_OPENING, _JOINING) if notification.kind in each), (notification.kind,))
    texts = [each.text for each in transitions if each.number <= notification.number and each.kind in kinds]
    return texts[-1] if texts else ""


def _message(notification: Notification, text: str) -> NotifiedMessage:
    return NotifiedMessage(notification.due_at, notification.channel, notification.kind, text)


_JOINING = (TransitionKind.JOINED, TransitionKind.RAISED)
_ANNOUNCED_ALONE = frozenset(
    {
        TransitionKind.FLAPPING,
        TransitionKind.ACKNOWLEDGED,
        TransitionKind.SNOOZED,
        TransitionKind.UNACKNOWLEDGED,
        TransitionKind.NOTE_ADDED,
        TransitionKind.REMINDED,
        TransitionKind.RESOLVED,
    }
)


_OPENING = (TransitionKind.OPENED, TransitionKind.REOPENED)
_HELD_BACK = "held_back_"
_COLLECTED = ("announced_joined", "moot_joined")
_DIGEST = re.compile(r"(.+) \(digest at (\d{4}-\d\d-\d\d \d\d:\d\d) UTC\)")
_DAY = timedelta(days=1)


_PAGE = 200
_ENTRIES = 1000
_UNTIL = re.compile(r" until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")
_ACTIONS = {
    TransitionKind.ACKNOWLEDGED: ActionKind.ACKNOWLEDGE,
    TransitionKind.SNOOZED: ActionKind.SNOOZE,
    TransitionKind.UNACKNOWLEDGED: ActionKind.UNACKNOWLEDGE,
    TransitionKind.NOTE_ADDED: ActionKind.NOTE,
    TransitionKind.RESOLVED: ActionKind.RESOLVE,
}


async def read_incidents(
    log: IncidentLog, since: datetime, until: datetime, subject: str | None = None, known_ids: Container[str] = ()
) -> list[IncidentHistory]:
    """Return the incidents whose first alert fired in this time, apart from known ones. Raises StoreError."""
    incidents: list[IncidentHistory] = []
    after = ""
    while True:
        page = await log.list_page(subject=subject, since=since, until=until, limit=_PAGE, after=after)
        new = [incident for incident in page.incidents if incident.id not in known_ids]
        incidents += await (_read_page(log, new) if subject is None else _read_each(log, new))
        after = page.continuation
        if not after:
            return incidents[::-1]


async def _read_page(log: IncidentLog, incidents: Sequence[Incident]) -> list[IncidentHistory]:
    """Read incidents that follow each other."""
    if not incidents:
        return []
    ids = [incident.id for incident in incidents]
    transitions = await log.list_transitions_between(min(ids), max(ids))
    decisions = await log.list_decisions_between(min(ids), max(ids))
    return [history_of_stored(one, transitions.get(one.id, []), decisions.get(one.id, [])) for one in incidents]


async def _read_each(log: IncidentLog, incidents: Sequence[Incident]) -> list[IncidentHistory]:
    return [await read_history(log, incident) for incident in incidents]


async def read_history(log: IncidentLog, incident: Incident) -> IncidentHistory:
    """Return an incident with its transitions and decisions. Raises StoreError."""
    transitions: list[Transition] = []
    decisions: list[AlertDecision] = []
    after = ""
    while True:
        page = await log.list_transitions(incident.id, limit=_ENTRIES, after=after)
        transitions += page.entries
        after = page.continuation
        if not after:
            break
    while True:
        decided = await log.list_decisions(incident.id, limit=_ENTRIES, after=after)
        decisions += decided.entries
        after = decided.continuation
        if not after:
            return history_of_stored(incident, transitions, decisions)


def list_actions(histories: Iterable[IncidentHistory]) -> Iterator[RecordedAction]:
    """Yield what people did with the incidents."""
    for history in histories:
        for transition in history.transitions:
            kind = _ACTIONS.get(transition.kind) if transition.actor else None
            if kind is not None:
                until = _UNTIL.search(transition.text)
                end = None if until is None else datetime.strptime(until[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
                note = (
                    transition.text
                    if kind is ActionKind.NOTE
                    else transition.text.partition(f"{transition.actor}: ")[2]
                )
                yield RecordedAction(history.incident.lead, transition.at, kind, transition.actor, note, end)


def list_firings(
    histories: Iterable[IncidentHistory], is_recorded: Callable[[AlertKey], bool]
) -> Iterator[RecordedFiring]:
    """Yield when alerts fired whose condition is not derived from runs."""
    for history in histories:
        for member in history.incident.members:
            if is_recorded(member.key):
                yield RecordedFiring(
                    member.key, member.fired_at, member.failing_since, member.evidence, member.resolved_at
                )
