"""How the scheduler itself is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from scheduler.health import PROBE_TIMEOUT, Health, HealthProbe, HealthStatus, PartHealth
from tests.jobs.running.virtual_time import virtual_time


def expected(status: HealthStatus, name: str = "part") -> HealthProbe:
    async def probe() -> Sequence[PartHealth]:
        return (PartHealth(name, status),)

    return probe


@pytest.mark.parametrize(
    ("parts", "whole", "ready"),
    [
        ([], HealthStatus.OK, True),
        ([HealthStatus.OK, HealthStatus.OK], HealthStatus.OK, True),
        ([HealthStatus.OK, HealthStatus.DEGRADED], HealthStatus.DEGRADED, True),
        ([HealthStatus.DOWN, HealthStatus.DEGRADED, HealthStatus.OK], HealthStatus.DOWN, False),
    ],
)
async def test_the_whole_is_as_its_worst_part(parts: list[HealthStatus], whole: HealthStatus, ready: bool) -> None:
    health = Health()
    for status in parts:
        health.add_probe("part", expected(status))

    report = await health.report()

    assert (report.status, report.is_ready, len(report.parts)) == (whole, ready, len(parts))


async def test_a_probe_may_speak_for_several_parts() -> None:
    async def both() -> Sequence[PartHealth]:
        return [PartHealth("one", HealthStatus.OK), PartHealth("two", HealthStatus.DEGRADED, "slow")]

    health = Health()
    health.add_probe("exporters", both)

    assert [part.name for part in (await health.report()).parts] == ["one", "two"]


@virtual_time
async def test_a_part_that_does_not_answer_is_down_and_the_others_are_reported_in_time() -> None:
    async def hangs() -> Sequence[PartHealth]:
        await asyncio.sleep(1000)
        return ()

    health = Health()
    health.add_probe("store", hangs)
    health.add_probe("queue", hangs)
    health.add_probe("ticker", expected(HealthStatus.OK, "ticker"))

    report = await health.report()

    assert (report.parts[0].name, report.parts[0].status) == ("store", HealthStatus.DOWN)
    assert report.parts[0].message.startswith("no answer within 2 s: check the log")
    assert report.parts[2] == PartHealth("ticker", HealthStatus.OK)
    assert asyncio.get_running_loop().time() == pytest.approx(PROBE_TIMEOUT)


async def test_a_probe_that_breaks_is_that_part_s_answer() -> None:
    async def breaks() -> Sequence[PartHealth]:
        raise OSError("no such file")

    health = Health()
    health.add_probe("store", breaks)

    assert (await health.report()).parts == (PartHealth("store", HealthStatus.DOWN, "OSError: no such file"),)
