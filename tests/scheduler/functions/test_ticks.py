"""Health tells when ticks no longer come."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from scheduler.health import HealthStatus
from scheduler.hosts.functions.timer import MAX_TICK_GAP, PLANNING_HORIZON, last_tick_reader, tick_probe
from tests.scheduler.fakes import START, VirtualClock


@pytest.mark.parametrize(
    ("last_tick", "open_for", "status"),
    [
        (None, MAX_TICK_GAP, HealthStatus.OK),
        (None, MAX_TICK_GAP + 1, HealthStatus.DOWN),
        (-3600, 0, HealthStatus.OK),  # the app was stopped: its first tick comes within a minute
        (-3600, MAX_TICK_GAP + 1, HealthStatus.DOWN),
        (3500, 3600, HealthStatus.OK),
        (3400, 3600, HealthStatus.DOWN),
    ],
)
async def test_health_is_down_when_no_tick_came_for_three_minutes(
    last_tick: float | None, open_for: float, status: HealthStatus
) -> None:
    async def planned_until() -> datetime | None:
        return None if last_tick is None else START + timedelta(seconds=last_tick) + PLANNING_HORIZON

    clock = VirtualClock()
    probe = tick_probe(planned_until, clock)
    clock.move(open_for)

    (part,) = await probe()

    assert (part.name, part.status) == ("ticks", status)
    assert ("check the function tick" in part.message) is (status is HealthStatus.DOWN)


@pytest.mark.parametrize("planned", [None, START + PLANNING_HORIZON])
async def test_the_last_tick_was_a_horizon_before_what_is_planned(planned: datetime | None) -> None:
    async def planned_until() -> datetime | None:
        return planned

    assert await last_tick_reader(planned_until)() == (None if planned is None else START)
