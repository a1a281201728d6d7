"""When a process lacks CPU for so long that the user must know, and what it is told."""

from __future__ import annotations

import pytest

from jobs.running.starvation import StarvationReading
from scheduler.watchdog.cpu_watch import MIN_SPAN, CpuReport, CpuWatch, describe_starvation
from scheduler.watchdog.report import WatchdogReport
from scheduler.watchdog.rules import CPU_PART, health_parts
from tests.scheduler.fakes import START


class Process:
    def __init__(self) -> None:
        self.now = 0.0
        self.reading = StarvationReading(0.0, 0.0, 0, 0)
        self.watch = CpuWatch(lambda: self.reading, lambda: self.now)
        self.watch.judge()

    def live(
        self, seconds: float, *, lack: float = 0, throttled: float = 0, attempts: int = 0, starved: int = 0
    ) -> bool:
        """Return whether the process counts as starved afterwards."""
        self.now += seconds
        before = self.reading
        self.reading = StarvationReading(
            before.lack_s + lack, before.throttled_s + throttled, before.attempts + attempts, before.starved + starved
        )
        report = self.watch.judge()
        return report is not None and report.is_starved


def test_a_lack_of_more_than_a_fifth_of_half_a_minute_is_starvation() -> None:
    assert Process().live(MIN_SPAN, lack=7)
    assert not Process().live(MIN_SPAN, lack=5)


def test_a_short_lack_is_none() -> None:
    assert not Process().live(5, lack=5)


def test_many_attempts_without_reliable_times_are_starvation() -> None:
    assert Process().live(MIN_SPAN, attempts=100, starved=30)
    assert not Process().live(MIN_SPAN, attempts=100, starved=10)


def test_few_attempts_show_nothing() -> None:
    assert not Process().live(MIN_SPAN, attempts=3, starved=3)


def test_starvation_is_over_only_once_the_lack_is_clearly_less() -> None:
    process = Process()
    process.live(MIN_SPAN, lack=10)

    assert process.live(MIN_SPAN, lack=5)
    assert not process.live(MIN_SPAN, lack=1)


def test_a_restart_of_the_totals_is_no_lack() -> None:
    process = Process()
    process.live(MIN_SPAN, lack=10)

    assert not process.live(MIN_SPAN, lack=-10, throttled=-5, attempts=-1)


def test_the_advice_names_the_limit_that_stops_the_process() -> None:
    process = Process()
    process.live(MIN_SPAN, lack=15, throttled=15)

    assert "raise the limit (cpu.max)" in describe_starvation(process.watch.newest)


def test_the_advice_is_not_more_concurrency() -> None:
    process = Process()
    process.live(MIN_SPAN, lack=15, attempts=40, starved=30)

    assert describe_starvation(process.watch.newest) == (
        "the scheduler lacks CPU: for 50% of the last 30 s it could not run, 30 of 40 attempts had no reliable "
        "response time; give the process more CPU, spread the schedules (jitter, offset), or run more processes; more "
        "concurrency does not help"
    )


@pytest.mark.parametrize("is_starved", [True, False])
def test_health_is_degraded_while_the_process_is_starved(is_starved: bool) -> None:
    report = WatchdogReport(START, cpu=CpuReport(is_starved, 30, 0.5, 0, 40, 30))
    part = next(part for part in health_parts(report) if part.name == CPU_PART)

    assert part.status == ("degraded" if is_starved else "ok")
