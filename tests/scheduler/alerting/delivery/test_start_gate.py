"""Messages that were stored before a start of the scheduler, and are about jobs that have not run since."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from jobs.incidents.values import Incident, IncidentStatus, Notification, TransitionKind
from jobs.notifications.templates.incident_message import sample_transition
from scheduler.alerting.delivery.channel_pass import DeliveryTools, deliver_channel
from scheduler.alerting.delivery.delivery import StartGate
from tests.scheduler.alerting.delivery.memory_outbox import Killed, World

OPENED, REMINDED, RESOLVED = TransitionKind.OPENED, TransitionKind.REMINDED, TransitionKind.RESOLVED
HOUR = timedelta(hours=1)


class Desk:
    """A reminder was stored an hour before this process started. `end`: until when its job is waited for."""

    def __init__(self) -> None:
        self.world = World()
        self.incident = replace(sample_transition(OPENED)[0], id="a")
        self.put(REMINDED, 1)
        self.restart()
        self.end: datetime | None = self.world.clock.now() + timedelta(minutes=5)
        self.is_missed: list[bool] = []

    def put(self, kind: TransitionKind, number: int) -> None:
        self.world.kinds["a"].append(kind)
        self.world.outbox.add(Notification("a", number, kind, "teams", self.world.clock.now()))

    def restart(self) -> None:
        self.world.clock.move(HOUR.total_seconds())
        self.gate = StartGate(self, self, self.world.clock)

    async def find(self, incident: str) -> Incident | None:
        return self.incident

    async def find_first_runs_end(self, incident: Incident, now: datetime, *, is_missed: bool) -> datetime | None:
        self.is_missed.append(is_missed)
        return self.end if self.end is not None and now < self.end else None

    async def deliver(self) -> list[str]:
        world = self.world
        tools = DeliveryTools(world.outbox, world, world, world.clock, "two", is_only_worker=True, gate=self.gate)
        await deliver_channel(tools, "teams")
        return [str(each.kind) for each in world.channels["teams"].sent]

    def resolve(self) -> None:
        self.incident = replace(self.incident, status=IncidentStatus.RESOLVED, resolved_at=self.world.clock.now())
        self.put(RESOLVED, 2)


async def test_a_reminder_of_before_the_start_waits_for_the_first_run() -> None:
    desk = Desk()
    assert await desk.deliver() == []
    desk.end = None
    desk.world.clock.move(10)
    assert await desk.deliver() == ["reminded"]


async def test_the_resolution_replaces_it_and_the_decision_says_so() -> None:
    desk = Desk()
    await desk.deliver()
    desk.resolve()
    assert await desk.deliver() == ["resolved"]
    assert [each.code for each in desk.world.outbox.decisions] == ["moot", "delivered"]


async def test_a_job_that_never_runs_does_not_hold_it_back_for_ever() -> None:
    desk = Desk()
    desk.world.clock.move(301)
    assert await desk.deliver() == ["reminded"]


async def test_a_reminder_that_was_being_sent_when_the_process_was_killed_waits_too() -> None:
    desk = Desk()
    channel = desk.world.channels["teams"]
    desk.end = None

    def kill() -> None:
        raise Killed

    channel.after_send = kill
    with pytest.raises(Killed):
        await desk.deliver()
    channel.after_send = lambda: None
    desk.restart()
    desk.end = desk.world.clock.now() + timedelta(minutes=5)
    assert await desk.deliver() == ["reminded"], "that of before the kill"
    desk.resolve()
    assert await desk.deliver() == ["reminded", "resolved"]


async def test_an_opening_waits_only_if_a_run_was_missed() -> None:
    desk = Desk()
    desk.world.outbox.rows.clear()
    desk.put(OPENED, 1)
    desk.restart()
    await desk.deliver()
    assert set(desk.is_missed) == {True}


async def test_a_message_that_was_stored_after_the_start_is_sent_at_once() -> None:
    desk = Desk()
    desk.world.outbox.rows.clear()
    desk.put(REMINDED, 1)
    assert await desk.deliver() == ["reminded"]
    assert not desk.is_missed
