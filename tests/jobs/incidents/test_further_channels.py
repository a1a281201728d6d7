"""An alert that joins an announced incident has channels of its own: they receive the opening."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from jobs.incidents.engine.facts import DueChannel
from jobs.incidents.values import Incident, Suppression, SuppressionKind, TransitionKind
from tests.jobs.incidents.world import MINUTE, World

EIGHT = datetime(2026, 3, 1, 8, tzinfo=UTC)


class OwnChannels(World):
    """`search` waits for the digest of `morning`; `checkout` notifies `pager`; both share a host."""

    def __init__(self) -> None:
        super().__init__(parents={"behind": ["search"]})
        self.causes = {name: ["host api.example.com"] for name in ("search", "checkout", "suggest")}
        self.of: dict[str, str | DueChannel] = {
            "search": DueChannel("morning", EIGHT),
            "suggest": DueChannel("morning", EIGHT),
            "checkout": "pager",
            "behind": "pager",
        }

    def channels_of(self, incident: Incident) -> Sequence[str | DueChannel]:
        return [self.of[member.key.subject] for member in incident.open_members or incident.members]

    def sent_to(self, channel: str) -> list[tuple[TransitionKind, bool]]:
        return [(each.kind, each.is_digest) for each in self.sent if each.channel == channel]


def fail_first_search_then(world: World, *subjects: str) -> None:
    world.fail("search")
    world.wait(MINUTE)
    world.fail(*subjects)
    world.wait(MINUTE)


def test_the_channel_of_a_joined_alert_receives_the_opening_and_the_end() -> None:
    world = OwnChannels()
    fail_first_search_then(world, "checkout")
    assert len(world.incidents) == 1
    assert world.sent_to("pager") == [(TransitionKind.OPENED, False)]
    assert world.codes()["announced_further"] == 1
    world.recover("search", "checkout")
    world.wait(MINUTE)
    assert world.sent_to("pager")[1:] == [(TransitionKind.RESOLVED, False)]


def test_a_joined_alert_of_the_same_channel_adds_none() -> None:
    world = OwnChannels()
    fail_first_search_then(world, "suggest")
    assert not world.sent_to("pager")
    assert world.sent_to("morning") == [(TransitionKind.OPENED, True), (TransitionKind.JOINED, True)]


def test_a_channel_that_waits_for_its_digest_is_notified_at_once_if_required() -> None:
    world = OwnChannels()
    world.of["checkout"] = "morning"
    fail_first_search_then(world, "checkout")
    assert world.sent_to("morning") == [(TransitionKind.OPENED, True), (TransitionKind.OPENED, False)]
    assert len({each.dedup_key for each in world.sent}) == len(world.sent)


def test_an_alert_that_is_held_back_adds_no_channel() -> None:
    world = OwnChannels()
    world.suppressions["checkout"] = Suppression(SuppressionKind.SILENCE, "deploy")
    fail_first_search_then(world, "checkout")
    assert not world.sent_to("pager")


def test_an_alert_behind_its_parent_adds_no_channel() -> None:
    world = OwnChannels()
    world.checked["search"] = EIGHT
    fail_first_search_then(world, "behind")
    assert len(world.incidents) == 1
    assert not world.sent_to("pager")
