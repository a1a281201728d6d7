"""Takes a scenario through our engine, in virtual time."""

from __future__ import annotations

from datetime import timedelta

from jobs.incidents.engine.facts import AlertPolicy
from jobs.incidents.values import Suppression, SuppressionKind, TransitionKind
from tests.jobs.incidents.world import START, World
from tests.parts.alertmanager.scenarios import CHILDREN, LENGTH, PARENT, Scenario
from tests.parts.alertmanager.theirs import Sent

STEP = 0.25
"""Seconds between two passes."""
_STATUS = {TransitionKind.RESOLVED: "resolved"}


def notifications_of(scenario: Scenario) -> list[Sent]:
    """Return the notifications of a scenario, in their order. A job is a separate incident."""
    repeat = None if scenario.repeat_interval is None else timedelta(seconds=scenario.repeat_interval)
    parents = {child: [PARENT] for child in CHILDREN} if scenario.is_inhibited else {}
    world = World(parents=parents, policy=AlertPolicy(remind_every=repeat))
    world.group_wait = timedelta(seconds=scenario.group_wait)
    muted = Suppression(SuppressionKind.MUTE_TIME, "always")
    for step in range(int(LENGTH / STEP)):
        at = step * STEP
        world.now = START + timedelta(seconds=at)
        for failure in scenario.failures:
            if failure.start == at:
                world.fail(failure.job)
            elif failure.end == at:
                world.recover(failure.job)
        # Alertmanager does not wait until a parent was checked.
        world.checked = dict.fromkeys((PARENT, *CHILDREN), world.now)
        world.suppressions = {each.job: _silence(each.end) for each in scenario.silences if each.start <= at < each.end}
        if scenario.is_muted:
            world.suppressions = dict.fromkeys((PARENT, *CHILDREN), muted)
        world.run_pass()
    return [
        Sent((each.due_at - START).total_seconds(), _STATUS.get(each.kind, "firing"), _job_of(world, each.incident))
        for each in world.sent
    ]


def _silence(end: float) -> Suppression:
    return Suppression(SuppressionKind.SILENCE, "silence", until=START + timedelta(seconds=end))


def _job_of(world: World, incident: str) -> str:
    return world.incidents[incident].lead.subject
