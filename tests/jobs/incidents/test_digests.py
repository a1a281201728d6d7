"""Notifications of channels whose route has a digest: due at its time, without reminders before it."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.incidents.engine.announcing import acknowledge
from jobs.incidents.engine.facts import AlertPolicy, DueChannel, EscalationStep
from jobs.incidents.values import TransitionKind
from tests.jobs.incidents.world import HOUR, MINUTE, World

EIGHT = datetime(2026, 3, 1, 8, tzinfo=UTC)
TOMORROW = datetime(2026, 3, 2, 8, tzinfo=UTC)


class DailyWorld(World):
    """The channel `team` gets a digest at 08:00."""

    def run_pass(self):  # type: ignore[no-untyped-def]
        self.channels = ["chat", DueChannel("team", EIGHT if self.now < EIGHT else TOMORROW)]
        return super().run_pass()

    def sent_to(self, channel: str) -> list[tuple[TransitionKind, datetime, bool]]:
        return [(each.kind, each.due_at, each.is_digest) for each in self.sent if each.channel == channel]


def test_an_opening_is_due_with_the_digest_and_at_once_in_other_channels() -> None:
    world = DailyWorld()
    world.fail("checkout")
    world.wait(MINUTE)
    assert world.sent_to("team") == [(TransitionKind.OPENED, EIGHT, True)]
    assert [is_digest for _, _, is_digest in world.sent_to("chat")] == [False]
    (incident,) = world.incidents.values()
    assert [each.due_at for each in incident.announced] == [None, EIGHT]
    assert world.decisions[-1].inputs["channels"] == "chat, team (digest at 2026-03-01 08:00 UTC)"


def test_a_resolution_before_the_digest_is_in_it() -> None:
    world = DailyWorld()
    world.fail("checkout")
    world.wait(HOUR)
    world.recover("checkout")
    world.wait(MINUTE)
    assert world.sent_to("team") == [(TransitionKind.OPENED, EIGHT, True), (TransitionKind.RESOLVED, EIGHT, True)]


def test_a_resolution_after_the_digest_is_in_the_next_one() -> None:
    world = DailyWorld()
    world.fail("checkout")
    world.wait(6 * HOUR)
    world.recover("checkout")
    world.wait(MINUTE)
    assert world.sent_to("team")[1:] == [(TransitionKind.RESOLVED, TOMORROW, True)]


def test_a_channel_whose_digest_was_removed_gets_the_resolution_at_once() -> None:
    world = DailyWorld()
    world.fail("checkout")
    world.wait(6 * HOUR)
    world.recover("checkout")
    world.channels = ["chat", "team"]
    World.run_pass(world)
    assert world.sent_to("team")[1:] == [(TransitionKind.RESOLVED, world.now, False)]


def test_reminders_go_to_the_channels_that_were_notified_at_once() -> None:
    world = DailyWorld(policy=AlertPolicy(remind_every=HOUR))
    world.fail("checkout")
    world.wait(3 * HOUR)
    assert len(world.sent_to("chat")) == 3
    assert len(world.sent_to("team")) == 1


def test_an_acknowledgement_before_the_digest_is_in_it() -> None:
    world = DailyWorld()
    world.fail("checkout")
    world.wait(MINUTE)
    (incident,) = world.incidents.values()
    world.store(acknowledge(incident, "anna", world.now))
    assert world.sent_to("team")[1:] == [(TransitionKind.ACKNOWLEDGED, EIGHT, True)]


def test_an_escalation_is_not_delayed_by_the_digest() -> None:
    world = DailyWorld(policy=AlertPolicy(escalation=(EscalationStep(30 * MINUTE, ("team",)),)))
    world.fail("checkout")
    world.wait(HOUR)
    kind, due_at, is_digest = world.sent_to("team")[1]
    assert (kind, is_digest) == (TransitionKind.ESCALATED, False)
    assert due_at < EIGHT
