"""The scheduler pings a URL while it works."""

from __future__ import annotations

import logging

import pytest

from jobs.runs import ErrorClass
from scheduler.health import HealthReport, HealthStatus, PartHealth
from scheduler.watchdog.self_watch import SelfWatch
from tests.jobs.running.run_parts import ScriptedCheck, Step, answer, broken
from tests.scheduler.fakes import VirtualClock

URL = "https://monitor.example/ping/very-secret-token"


class Watched:
    def __init__(self, *steps: Step, url: str | None = URL) -> None:
        self.check, self.clock = ScriptedCheck(list(steps) or [answer()]), VirtualClock()
        self.health = HealthStatus.OK
        self.watch = SelfWatch(url, 60.0, lambda: self.check, self._report, self.clock)

    async def _report(self) -> HealthReport:
        return HealthReport(self.health, (PartHealth("store", self.health),))

    async def minute(self) -> None:
        await self.watch.tick()
        self.clock.move(60)


async def test_it_pings_once_an_interval() -> None:
    watched = Watched()
    for _ in range(3):
        await watched.watch.tick()
        await watched.minute()
    assert len(watched.check.calls) == 3
    (part,) = await watched.watch.probe()
    assert (part.name, part.status) == ("self_watch", HealthStatus.OK)


async def test_without_a_url_nothing_is_requested_or_reported() -> None:
    watched = Watched(url=None)
    await watched.minute()
    assert not watched.check.calls
    assert await watched.watch.probe() == ()


async def test_it_does_not_ping_while_the_scheduler_is_down() -> None:
    watched = Watched()
    watched.health = HealthStatus.DOWN
    await watched.minute()
    assert not watched.check.calls
    (part,) = await watched.watch.probe()
    assert part.message == "not sent while these parts of health are down: store"

    watched.health = HealthStatus.DEGRADED
    await watched.minute()
    assert len(watched.check.calls) == 1


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (broken(ErrorClass.CONNECT_TIMEOUT), "the ping failed: connect_timeout"),
        (answer(404), "the ping was answered with 404"),
        (RuntimeError(URL), "the ping failed: RuntimeError"),
    ],
)
async def test_a_ping_that_fails_is_logged_once_without_the_url(
    caplog: pytest.LogCaptureFixture, step: Step, message: str
) -> None:
    caplog.set_level(logging.WARNING)
    watched = Watched(step)
    await watched.minute()
    await watched.minute()
    (part,) = await watched.watch.probe()
    assert (part.status, part.message) == (HealthStatus.DEGRADED, message)
    assert [record.getMessage() for record in caplog.records] == [
        f"could not ping the URL of self_watch: {message}; retrying in 60 s"
    ]


async def test_it_recovers_with_the_next_ping() -> None:
    watched = Watched(answer(503), answer(200))
    await watched.minute()
    await watched.minute()
    (part,) = await watched.watch.probe()
    assert part.status is HealthStatus.OK
