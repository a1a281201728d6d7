"""Incidents that cross the beginning or the end of maintenance windows, as docs/alerting.md describes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.incidents.engine.facts import AlertPolicy
from jobs.incidents.suppression.finding import SuppressionSet, counts_as_sample, find_suppression
from jobs.incidents.suppression.windows import AlertSubject, MaintenanceWindow
from jobs.incidents.values import AlertKey, Suppression
from tests.jobs.incidents.world import HOUR, MINUTE, START, World, find_pause

CHECKOUT = AlertSubject("checkout")


class WindowWorld(World):
    """Begins at 03:00 UTC on a Sunday, and reminds each hour."""

    def __init__(self, *windows: MaintenanceWindow) -> None:
        super().__init__(policy=AlertPolicy(remind_every=HOUR))
        self.windows = SuppressionSet(windows)

    def suppression_of(self, key: AlertKey) -> Suppression | None:
        return find_suppression(AlertSubject(key.subject), self.windows, self.now)


def window(name: str = "patching", **keys: Any) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate({"name": name, "select": {"all": True}} | keys)


PATCHING = window(**{"from": "2026-03-01T04:00", "for": "3h"})


def test_an_incident_that_was_announced_before_a_window_is_not_reminded_of_in_it_and_again_after_it() -> None:
    world = WindowWorld(PATCHING)
    world.fail("checkout")
    world.wait(HOUR - MINUTE)
    assert world.sent_kinds() == {"opened": 1}
    world.wait(3 * HOUR)
    assert world.sent_kinds() == {"opened": 1}
    world.wait(2 * HOUR)
    assert world.sent_kinds()["reminded"] >= 1
    assert len(world.incidents) == 1


def test_an_incident_that_is_open_at_the_end_of_a_window_is_announced_then_and_names_the_window() -> None:
    world = WindowWorld(PATCHING)
    world.wait(2 * HOUR)
    world.fail("checkout")
    world.wait(2 * HOUR - MINUTE)
    assert not world.sent
    world.wait(2 * MINUTE)
    assert world.sent_kinds() == {"opened": 1}
    assert world.sent[0].due_at == START + 4 * HOUR
    released = next(each for each in world.decisions if each.code == "released")
    assert released.text == "no longer held back by the window patching (until 2026-03-01 07:00 UTC)"


def test_an_incident_within_a_window_sends_nothing_and_one_that_ends_in_it_sends_its_resolution() -> None:
    world = WindowWorld(PATCHING)
    world.fail("search")
    world.wait(90 * MINUTE)
    world.fail("checkout")
    world.wait(30 * MINUTE)
    world.recover("checkout", "search")
    world.wait(10 * HOUR)
    subjects = {each.id: each.lead.subject for each in world.incidents.values()}
    assert [(subjects[each.incident], str(each.kind)) for each in world.sent] == [
        ("search", "opened"),
        ("search", "resolved"),
    ]
    assert world.codes()["resolved_unannounced"] == 1


def test_each_window_has_its_own_zone_and_can_last_several_days() -> None:
    weekend = {"from": "FRI 22:00", "to": "MON 04:00"}
    berlin = SuppressionSet((window(weekly=weekend, timezone="Europe/Berlin"),))
    new_york = SuppressionSet((window(weekly=weekend, timezone="America/New_York"),))

    def is_inside(windows: SuppressionSet, day: int, hour: int) -> bool:
        return find_suppression(CHECKOUT, windows, datetime(2026, 3, day, hour, tzinfo=UTC)) is not None

    hours = [(6, 20), (6, 21), (7, 2), (7, 3), (8, 12), (9, 2), (9, 3), (9, 7), (9, 8)]
    assert [is_inside(berlin, *each) for each in hours] == [False, True, True, True, True, True, False, False, False]
    # On 8 March New York changes to summer time.
    assert [is_inside(new_york, *each) for each in hours] == [False, False, False, True, True, True, True, True, False]


@pytest.mark.parametrize(
    ("keys", "pauses", "counts"),
    [({}, False, True), ({"effect": "pause"}, True, True), ({"counts": False}, False, False)],
)
def test_a_window_silences_or_pauses_and_its_runs_count_unless_it_sets_otherwise(
    keys: dict[str, Any], pauses: bool, counts: bool
) -> None:
    windows = SuppressionSet((window(**{"from": "2026-03-01T04:00", "for": "3h"}, **keys),))
    at = START + 2 * HOUR
    assert find_suppression(CHECKOUT, windows, at) is not None
    assert (find_pause(CHECKOUT, windows, at) is not None, counts_as_sample(CHECKOUT, windows, at)) == (pauses, counts)
