"""An alert that joins an announced incident inside of a silence or window sends nothing by itself."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.incidents.engine.facts import AlertPolicy, DueChannel
from jobs.incidents.values import Incident, Suppression, SuppressionKind
from tests.jobs.incidents.world import HOUR, MINUTE, START, World

SILENCE = Suppression(SuppressionKind.SILENCE, "deploy", until=START + HOUR)
SHARED = "host api.example.com"


def joined_inside(silenced: Sequence[str], joining: Sequence[str], policy: AlertPolicy | None = None) -> World:
    """checkout fails and is announced; a minute later, these fail with the same cause."""
    world = World(policy=policy)
    world.causes = {name: [SHARED] for name in ("checkout", *joining)}
    world.fail("checkout")
    world.wait(MINUTE)
    world.suppressions = dict.fromkeys(silenced, SILENCE)
    world.fail(*joining)
    world.wait(MINUTE)
    return world


def test_it_joins_without_a_notification_and_a_decision_says_why() -> None:
    world = joined_inside(["payments"], ["payments"])
    (incident,) = world.incidents.values()
    assert [member.key.subject for member in incident.open_members] == ["checkout", "payments"]
    assert [str(each.kind) for each in world.transitions] == ["opened", "joined"]
    assert world.sent_kinds() == {"opened": 1}
    decision = next(each for each in world.decisions if each.code == "held_back_silence")
    assert decision.key is not None
    assert (decision.key.subject, decision.suppression) == ("payments", SILENCE)


def test_one_that_joins_with_it_and_is_not_silenced_is_notified() -> None:
    world = joined_inside(["payments"], ["payments", "search"])
    assert world.sent_kinds() == {"opened": 1, "joined": 1}


def test_a_higher_severity_that_is_silenced_does_not_raise_the_notification() -> None:
    world = World()
    world.policies["payments"] = AlertPolicy(severity="down", rank=2)
    world.causes = {name: [SHARED] for name in ("checkout", "payments", "search")}
    world.fail("checkout")
    world.wait(MINUTE)
    world.suppressions["payments"] = SILENCE
    world.fail("payments", "search")
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1, "joined": 1}


def test_after_the_silence_its_reminder_names_it_and_nothing_is_sent_before() -> None:
    world = joined_inside(["payments"], ["payments"], AlertPolicy(remind_every=3 * HOUR))
    world.suppressions.clear()
    world.wait(2 * HOUR)
    assert world.sent_kinds() == {"opened": 1}
    assert world.codes()["released_joined"] == 1
    world.wait(HOUR)
    assert world.sent_kinds() == {"opened": 1, "reminded": 1}


class OwnChannels(World):
    def channels_of(self, incident: Incident) -> Sequence[str | DueChannel]:
        return sorted({f"mail-{member.key.subject}" for member in incident.open_members})


def test_its_further_channels_receive_the_opening_at_the_end_of_the_silence() -> None:
    world = OwnChannels()
    world.causes = {name: [SHARED] for name in ("checkout", "payments")}
    world.fail("checkout")
    world.wait(MINUTE)
    world.suppressions["payments"] = SILENCE
    world.fail("payments")
    world.wait(MINUTE)
    assert [each.channel for each in world.sent] == ["mail-checkout"]
    assert world.run_pass().due_at == START + HOUR
    world.suppressions.clear()
    world.wait(HOUR)
    assert [(each.channel, str(each.kind)) for each in world.sent] == [
        ("mail-checkout", "opened"),
        ("mail-payments", "opened"),
    ]
    world.recover("checkout", "payments")
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 2, "resolved": 2}


def test_one_that_recovers_inside_of_the_silence_sends_nothing() -> None:
    world = joined_inside(["payments"], ["payments"])
    world.recover("payments")
    world.suppressions.clear()
    world.wait(HOUR)
    assert world.sent_kinds() == {"opened": 1}


def test_a_reopened_incident_that_others_join_names_the_cause() -> None:
    world = World()
    world.fail("checkout")
    world.wait(MINUTE)
    world.recover("checkout")
    world.wait(MINUTE)
    world.causes = {name: [SHARED] for name in ("checkout", "payments")}
    world.fail("checkout", "payments")
    world.wait(MINUTE)
    (incident,) = world.incidents.values()
    assert incident.cause == SHARED
    assert world.transitions[-1].text == f"payments fails with the same cause: {SHARED}"
