"""How the scheduler itself is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from scheduler.health import PATIENCE, Health, PartHealth, Probe, Status
from tests.jobs.running.virtual_time import virtual_time


def says(status: Status, name: str = "part") -> Probe:
    async def probe() -> Sequence[PartHealth]:
        return (PartHealth(name, status),)

    return probe


@pytest.mark.parametrize(
    ("parts", "whole", "ready"),
    [
        ([], Status.OK, True),
        ([Status.OK, Status.OK], Status.OK, True),
        ([Status.OK, Status.DEGRADED], Status.DEGRADED, True),
        ([Status.DOWN, Status.DEGRADED, Status.OK], Status.DOWN, False),
    ],
)
async def test_the_whole_is_as_its_worst_part(parts: list[Status], whole: Status, ready: bool) -> None:
    health = Health()
    for status in parts:
        health.add("part", says(status))

    report = await health.report()

    assert (report.status, report.ready, len(report.parts)) == (whole, ready, len(parts))


async def test_a_probe_may_speak_for_several_parts() -> None:
    async def both() -> Sequence[PartHealth]:
        return [PartHealth("one", Status.OK), PartHealth("two", Status.DEGRADED, "slow")]

    health = Health()
    health.add("exporters", both)

    assert [part.name for part in (await health.report()).parts] == ["one", "two"]


@virtual_time
async def test_a_part_that_does_not_answer_is_down_and_the_others_are_told_in_time() -> None:
    async def hangs() -> Sequence[PartHealth]:
        await asyncio.sleep(1000)
        return ()

    health = Health()
    health.add("store", hangs)
    health.add("queue", hangs)
    health.add("ticker", says(Status.OK, "ticker"))

    report = await health.report()

    assert (report.parts[0].name, report.parts[0].status) == ("store", Status.DOWN)
    assert report.parts[0].message.startswith("no answer within 2 s: look at the log")
    assert report.parts[2] == PartHealth("ticker", Status.OK)
    assert asyncio.get_running_loop().time() == pytest.approx(PATIENCE)


async def test_a_probe_that_breaks_is_that_part_s_answer() -> None:
    async def breaks() -> Sequence[PartHealth]:
        raise OSError("no such file")

    health = Health()
    health.add("store", breaks)

    assert (await health.report()).parts == (PartHealth("store", Status.DOWN, "OSError: no such file"),)
