"""Health tells when ticks no longer come."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from scheduler.health import Status
from scheduler.hosts.functions.tick_health import TICK_GAP, last_tick_of, ticks_health
from scheduler.tick_work import HORIZON
from tests.scheduler.fakes import START, VirtualClock


@pytest.mark.parametrize(
    ("last_tick", "open_for", "status"),
    [
        (None, TICK_GAP, Status.OK),
        (None, TICK_GAP + 1, Status.DOWN),
        (-3600, 0, Status.OK),  # the app was stopped: its first tick comes within a minute
        (-3600, TICK_GAP + 1, Status.DOWN),
        (3500, 3600, Status.OK),
        (3400, 3600, Status.DOWN),
    ],
)
async def test_health_is_down_when_no_tick_came_for_three_minutes(
    last_tick: float | None, open_for: float, status: Status
) -> None:
    async def planned_until() -> datetime | None:
        return None if last_tick is None else START + timedelta(seconds=last_tick) + HORIZON

    clock = VirtualClock()
    probe = ticks_health(planned_until, clock)
    clock.move(open_for)

    (part,) = await probe()

    assert (part.name, part.status) == ("ticks", status)
    assert ("look at the function tick" in part.message) is (status is Status.DOWN)


@pytest.mark.parametrize("planned", [None, START + HORIZON])
async def test_the_last_tick_was_a_horizon_before_what_is_planned(planned: datetime | None) -> None:
    async def planned_until() -> datetime | None:
        return planned

    assert await last_tick_of(planned_until)() == (None if planned is None else START)
