"""Random histories of jobs, rules, parents, causes, people and kills: each message is recomputed from the facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.alerting.alert import Alert, Verdict, advance
from jobs.formats import describe_span
from jobs.incidents.engine.announcing import acknowledge, resolve_by_hand
from jobs.incidents.engine.facts import AlertPolicy, EscalationStep, FlappingLimit, IncidentStep
from jobs.incidents.values import AlertKey, Incident, Notification, Transition, TransitionKind
from jobs.notifications.templates.incident_message import MessageDetails, incident_values, make_message
from tests.jobs.incidents.world import HOUR, MINUTE, SECOND, World

JOBS = ("router", "a", "b", "c", "d")
RULES = {"failed": ("down", 20), "slow": ("degraded", 10)}
POLICY = {
    rule: AlertPolicy(
        severity,
        rank,
        remind_every=5 * MINUTE,
        escalation=(EscalationStep(7 * MINUTE, ("phone",)),),
        flapping=FlappingLimit(changes=8, within=HOUR),
    )
    for rule, (severity, rank) in RULES.items()
}
Event = tuple[tuple[str, int, Any], int]
ABOUT_FAILURES = ("opened", "reopened", "joined", "raised", "reminded", "escalated")
KEYS = st.builds(AlertKey, st.sampled_from(JOBS), st.sampled_from(list(RULES)))
EVENTS = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.sampled_from(["break", "break", "mend"]), st.just(0), st.lists(KEYS, min_size=1, max_size=5)),
            st.tuples(st.sampled_from(["kill"]), st.integers(1, 12), st.lists(st.sampled_from(JOBS), max_size=4)),
            st.tuples(st.sampled_from(["acknowledge", "resolve"]), st.integers(0, 2), st.none()),
        ),
        st.sampled_from([0, 0, 1, 1, 3, 8]),
    ),
    min_size=4,
    max_size=24,
)


@dataclass
class Facts:
    """What runs have observed: by alert, the instants of its first and of its first good run, for each failure."""

    spans: dict[AlertKey, list[tuple[datetime, datetime | None]]] = field(default_factory=dict)
    last_run: dict[str, datetime] = field(default_factory=dict)

    def observe(self, key: AlertKey, is_bad: bool, at: datetime) -> datetime | None:
        """Return since when it fails."""
        spans = self.spans.setdefault(key, [])
        is_open = bool(spans) and spans[-1][1] is None
        if is_bad and not is_open:
            spans.append((at, None))
        elif is_open and not is_bad:
            spans[-1] = (spans[-1][0], at)
        return spans[-1][0] if is_bad else None

    def end_of(self, key: AlertKey, begin: datetime) -> datetime | None:
        return next(end for since, end in self.spans[key] if since == begin)


@dataclass(frozen=True)
class Fact:
    """One failure of an incident. `end`: None while it lasts."""

    subject: str
    rule: str
    is_explained: bool
    begin: datetime
    end: datetime | None

    @property
    def severity(self) -> str:
        return RULES[self.rule][0]

    @property
    def length(self) -> timedelta:
        return (self.end or datetime(2100, 1, 1, tzinfo=UTC)) - self.begin


class MessageWorld(World):
    """Each job runs each minute while the scheduler runs. `broken`: what is true of the targets."""

    def __init__(self, parents: dict[str, list[str]], causes: dict[str, list[str]]) -> None:
        super().__init__(parents=parents)
        self.causes = causes
        self.broken: set[AlertKey] = set()
        self.facts = Facts()
        self.by_hand: dict[tuple[AlertKey, datetime], datetime] = {}
        """When a person resolved a failure: it does not count in its incident when that is reopened."""
        self.messages = 0

    def policy_of(self, key: AlertKey) -> AlertPolicy | None:
        return POLICY[key.rule]

    def run_jobs(self) -> None:
        for job in JOBS:
            self.checked[job] = self.facts.last_run[job] = self.now
            for rule in RULES:
                key = AlertKey(job, rule)
                since = self.facts.observe(key, key in self.broken, self.now)
                verdict = Verdict(since is not None, f"{job} {rule} at {since:%H:%M:%S}" if since else "", since)
                self.alerts[key] = advance(self.alerts.get(key, Alert(job, rule)), verdict, self.now)

    def live(self, time: timedelta) -> None:
        until = self.now + time
        while self.now < until:
            self.now += 10 * SECOND
            if self.now.second == 0:
                self.run_jobs()
            self.run_pass()

    def kill(self, minutes: int, mended: Sequence[str]) -> None:
        """The scheduler does not run for a time, in which targets of jobs are mended."""
        self.broken -= {key for key in self.broken if key.subject in mended}
        self.now += minutes * MINUTE + 30 * SECOND
        self.started = self.now
        self.run_pass()

    def store(self, step: IncidentStep) -> None:
        super().store(step)
        transitions = {each.number: each for each in self.transitions if each.incident == step.incident.id}
        for sent in step.notifications:
            self.check(step.incident, transitions[sent.number], sent)

    def check(self, incident: Incident, transition: Transition, sent: Notification) -> None:
        details = MessageDetails()
        message = make_message(incident, transition, sent, details)
        values = incident_values(incident, transition, sent, details, title="", text="")
        facts = order(incident, self.facts, self.by_hand)
        lead = facts[0]
        joined = self.list_joined(incident, sent, [each for each in facts if not each.is_explained])
        assert message.title == expect_title(incident, sent, joined, facts, self.now), sent
        assert (message.subject, message.severity) == (lead.subject, lead.severity)
        assert values["since_at"] == f"{lead.begin:%Y-%m-%dT%H:%M:%S}Z"
        assert values["downtime"] == describe_span(round(((lead.end or self.now) - lead.begin).total_seconds()))
        assert values["evidence"] == f"{lead.subject} {lead.rule} at {lead.begin:%H:%M:%S}"
        assert values["subjects"][: len({each.subject for each in facts})] == list(  # type: ignore[index]
            dict.fromkeys(each.subject for each in facts)
        )
        if str(sent.kind) in ABOUT_FAILURES:
            assert all(each.end is None for each in facts), "nothing that is well is counted"
        if str(sent.kind) in ("reminded", "escalated", "flapping") and self.started is not None:
            ran = [self.facts.last_run[each.subject] for each in facts if each.end is None]
            assert all(each >= self.started for each in ran), "each job has run since the start"
        self.messages += 1

    def list_joined(self, incident: Incident, sent: Notification, facts: list[Fact]) -> list[str]:
        """Return which jobs have joined with the transitions of the message and still fail, the lead excluded."""
        lasting = {(each.subject, each.rule) for each in facts if each.end is None}
        joined = [
            each.key.subject
            for each in self.transitions
            if each.incident == incident.id
            and sent.first <= each.number <= sent.number
            and each.key is not None
            and (each.key.subject, each.key.rule) in lasting
            and (str(each.kind) == "raised" or (str(each.kind) == "joined" and "the rule" not in each.text))
        ]
        return [each for each in dict.fromkeys(joined) if each != facts[0].subject]


def order(incident: Incident, facts: Facts, by_hand: dict[tuple[AlertKey, datetime], datetime]) -> list[Fact]:
    """Return the failures that count: those that last, else those of the latest opening, the worst first."""
    every = [
        Fact(
            each.key.subject,
            each.key.rule,
            bool(each.parent),
            each.fired_at,
            facts.end_of(each.key, each.fired_at),
        )
        for each in incident.members
        if by_hand.get((each.key, each.fired_at)) in (None, incident.resolved_at)
    ]
    lasting = [each for each in every if each.end is None]
    begin = incident.reopened_at or incident.opened_at
    counted = lasting or [each for each in every if each.end is not None and each.end >= begin]
    first = (incident.lead.subject, incident.lead.rule)
    return sorted(
        counted,
        key=lambda each: (
            each.is_explained,
            each.severity != "down",
            -each.length,
            (each.subject, each.rule) != first,
            each.subject,
            each.rule,
        ),
    )


def expect_title(incident: Incident, sent: Notification, joined: list[str], facts: list[Fact], now: datetime) -> str:
    lead, subjects = facts[0], {each.subject: each for each in reversed(facts)}
    alike = [each for each in subjects.values() if incident.resolved_at or each.severity == lead.severity]
    on = f" on {incident.cause.removeprefix('host ')}" if incident.cause and len(subjects) > 1 else ""
    name = f"{lead.subject} and {len(alike) - 1} more{on}" if len(alike) > 1 else lead.subject
    why = f" ({lead.subject} {lead.rule} at {lead.begin:%H:%M:%S})"
    others = [each for each in subjects.values() if each.severity != lead.severity]
    if others and incident.is_open:
        shown = others[0].subject if len(others) == 1 else len(others)
        longest = max((now - each.begin) for each in others)
        why += f"; {shown} {others[0].severity} for {describe_span(round(longest.total_seconds()))}"
    state, since = lead.severity.upper(), f"{lead.begin:%H:%M}"
    length = describe_span(round(((lead.end or now) - lead.begin).total_seconds()))
    match sent.kind:
        case TransitionKind.OPENED:
            return f"{state} {name} since {since}{why}"
        case TransitionKind.REOPENED:
            return f"{state} AGAIN {name} since {since}{why}"
        case TransitionKind.RAISED:
            return f"{state} {name} since {since}, the severity rose{why}"
        case TransitionKind.REMINDED:
            return f"STILL {state} {name} since {since}, for {length}{why}"
        case TransitionKind.ESCALATED:
            return f"ESCALATED {state} {name} since {since}, for {length}{why}"
        case TransitionKind.JOINED:
            if not joined:
                return f"{state} {name} since {since}{why}"
            listed = joined[:3] if len(joined) <= 3 else [*joined[:3], f"{len(joined) - 3} more"]
            *before, last = listed
            verb = "fail" if before else "fails"
            return f"{state} {name} since {since}: {', '.join(before)}{' and ' if before else ''}{last} {verb} too"
        case TransitionKind.FLAPPING:
            return f"FLAPPING {name}: no further messages until it is stable{why.partition(';')[0]}"
        case TransitionKind.ACKNOWLEDGED:
            return f"ACKNOWLEDGED {name} by anna"
        case _ if incident.resolved_by and lead.end is None:
            still = "still fails" if len(subjects) == 1 else "still fail"
            return f"RESOLVED by anna, {name} {still}, {lead.severity} since {since}{why}"
        case _:
            named = f"{lead.subject} " if len(alike) > 1 else ""
            return f"RESOLVED {name}, {named}was {lead.severity} {length}"


def play(world: MessageWorld, events: Sequence[Event]) -> None:
    for (kind, value, more), minutes in events:
        if kind == "break":
            world.broken.update(more)
        elif kind == "mend":
            world.broken.difference_update(more)
        elif kind == "kill":
            world.kill(value, more)
        elif opened := [each for each in world.incidents.values() if each.is_open]:
            act = acknowledge if kind == "acknowledge" else resolve_by_hand
            incident = opened[value % len(opened)]
            if kind == "resolve" or incident.acknowledged_by != "anna":
                step = act(incident, "anna", world.now)
                if resolved_at := step.incident.resolved_at:  # a little later than now if a transition came just now
                    world.by_hand |= {(each.key, each.fired_at): resolved_at for each in incident.open_members}
                world.store(step)
        world.live(minutes * MINUTE + 20 * SECOND)


HOST = ["host x.example"]
WORLDS: tuple[tuple[dict[str, list[str]], dict[str, list[str]]], ...] = (
    ({}, {}),
    ({"a": ["router"], "b": ["a"], "c": ["router"]}, {}),
    ({"a": ["router"]}, dict.fromkeys("abcd", HOST)),
    ({}, dict.fromkeys(JOBS, HOST)),
)


def test_each_message_says_what_the_facts_say() -> None:
    sent = 0

    @settings(max_examples=120)
    @given(EVENTS, st.sampled_from(WORLDS))
    def check(
        events: list[Event],
        shape: tuple[dict[str, list[str]], dict[str, list[str]]],
    ) -> None:
        nonlocal sent
        world = MessageWorld(dict(shape[0]), dict(shape[1]))
        play(world, events)
        world.broken.clear()
        world.live(12 * MINUTE)
        sent += world.messages

    check()
    assert sent > 100
