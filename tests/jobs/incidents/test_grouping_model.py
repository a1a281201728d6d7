"""Two hundred seeded histories of hosts that fail, beside a small model in which the group wait collects."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from jobs.incidents.engine.facts import AlertPolicy, IncidentStep
from tests.jobs.incidents.world import SECOND, START, World

HISTORIES = 200
LENGTH = 300
"""Seconds of a history."""
WAIT, WINDOW = 10, 120
HOSTS = {"a": "x", "b": "x", "c": "x", "d": "x", "e": "y", "f": "y", "g": "y", "h": "z"}
Message = tuple[int, str, frozenset[str]]
"""The second, the kind, and the jobs that fail at an opening, joined, or have recovered."""
Event = tuple[int, str, bool]


@dataclass
class Group:
    """The model of an incident. `failing` and `ended`: its jobs. `joined`: those that a message must name yet."""

    host: str
    opened: int
    failing: set[str]
    ended: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)
    due: int | None = None

    def join(self, job: str, fired: int, now: int) -> None:
        self.ended.discard(job)
        self.failing.add(job)
        self.joined.add(job)
        due = max(fired + WAIT, now)
        self.due = due if self.due is None else min(self.due, due)

    def recover(self, job: str) -> None:
        if job in self.failing:
            self.failing.discard(job)
            self.joined.discard(job)
            self.ended.add(job)


class Model:
    def __init__(self) -> None:
        self.fired: dict[str, int] = {}
        self.groups: list[Group] = []
        self.sent: list[Message] = []

    def second(self, now: int, events: list[Event]) -> None:
        for _, job, fails in events:
            if fails:
                self.fired.setdefault(job, now)
            else:
                self.fired.pop(job, None)
                for group in self.groups:
                    group.recover(job)
        waiting = [job for job in sorted(self.fired, key=lambda each: (self.fired[each], each)) if self.is_new(job)]
        waiting = [job for job in waiting if not self.joins(job, now)]
        for job in waiting:
            if self.is_new(job) and self.fired[job] + WAIT <= now:
                same = {each for each in waiting if HOSTS[each] == HOSTS[job] and not self.has_ended(each)}
                if job in same:
                    self.groups.append(Group(HOSTS[job], now, same))
                    self.sent.append((now, "opened", frozenset(same)))
        for group in list(self.groups):
            self.report(group, now)

    def is_new(self, job: str) -> bool:
        return not any(job in group.failing for group in self.groups)

    def has_ended(self, job: str) -> bool:
        return any(job in group.ended for group in self.groups)

    def joins(self, job: str, now: int) -> bool:
        own = next((each for each in self.groups if job in each.ended), None)
        if own is not None:
            if self.fired[job] + WAIT > now:
                return False
            own.join(job, self.fired[job], now)
            return True
        for group in self.groups:
            if group.host == HOSTS[job] and now - group.opened <= WINDOW:
                group.join(job, self.fired[job], now)
                return True
        return False

    def report(self, group: Group, now: int) -> None:
        if not group.failing:
            self.groups.remove(group)
            self.sent.append((now, "resolved", frozenset(group.ended)))
        elif not group.joined:
            group.due = None
        elif group.due is not None and group.due <= now:
            self.sent.append((now, "joined", frozenset(group.joined)))
            group.joined, group.due = set(), None


class RecordingWorld(World):
    def __init__(self) -> None:
        super().__init__(policy=AlertPolicy(reopen_within=timedelta(days=-1)))
        self.causes = {job: [f"host {host}"] for job, host in HOSTS.items()}
        self.messages: list[Message] = []

    def store(self, step: IncidentStep) -> None:
        super().store(step)
        for sent in step.notifications:
            incident = step.incident
            named = incident.list_joined(sent.first, sent.number) if str(sent.kind) == "joined" else incident.members
            names = frozenset(each.key.subject for each in named)
            self.messages.append((int((sent.due_at - START).total_seconds()), str(sent.kind), names))


def make_history(seed: int) -> list[Event]:
    """Return failures in bursts, and recoveries."""
    source = random.Random(seed)
    events: list[Event] = []
    for _ in range(source.randrange(1, 6)):
        begin = source.randrange(LENGTH - 40)
        for job in source.sample(sorted(HOSTS), source.randrange(1, len(HOSTS))):
            fails = begin + source.randrange(25)
            events.append((fails, job, True))
            if source.random() < 0.7:
                events.append((fails + source.randrange(1, 90), job, False))
    return sorted(events)


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_the_messages_of_a_history_are_those_of_the_model(seed: int) -> None:
    history, world, model = make_history(seed), RecordingWorld(), Model()
    for now in range(LENGTH + 60):
        events = [each for each in history if each[0] == now]
        world.now = START + now * SECOND
        for _, job, fails in events:
            if fails:
                world.fail(job)
            else:
                world.recover(job)
        world.run_pass()
        model.second(now, events)
    assert sorted(world.messages, key=str) == sorted(model.sent, key=str)


def test_the_histories_have_collected_openings_and_joins() -> None:
    sent: list[Message] = []
    for seed in range(HISTORIES):
        model, history = Model(), make_history(seed)
        for now in range(LENGTH + 60):
            model.second(now, [each for each in history if each[0] == now])
        sent += model.sent
    assert sum(kind == "opened" and len(jobs) > 1 for _, kind, jobs in sent) > HISTORIES
    assert sum(kind == "joined" and len(jobs) > 1 for _, kind, jobs in sent) > HISTORIES / 4
