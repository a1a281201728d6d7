"""The bench of an hour of steps jobs, as a minute: what does not depend on the machine."""

from __future__ import annotations

from bench._steps_hour import Hour, Window, simulate
from bench.steps_hour import judged


def test_runs_with_fresh_tokens_leave_nothing_behind() -> None:
    hour = simulate(seconds=30, window=10, rate=10)
    assert sum(window.runs for window in hour.windows) >= 280
    assert hour.outcomes["failed"] * 5 == hour.outcomes.total()
    assert [window.held for window in hour.windows] == [1, 1, 1]
    assert hour.leaks == []


def hour_of(*windows: tuple[float, float], held: int = 1) -> Hour:
    """Windows of CPU, ms a run, and MiB."""
    hour = Hour([Window(1000, cpu, mib, 1) for cpu, mib in windows])
    hour.windows[-1].held = held
    hour.outcomes.update({"succeeded": 800, "failed": 200})
    return hour


def test_an_hour_that_is_flat_but_for_its_first_window_is_well() -> None:
    assert [*judged(hour_of((9.0, 60.0), (3.0, 90.0), (3.1, 91.0), (3.0, 90.0)))] == []


def test_cpu_that_rises_memory_that_grows_and_values_that_stay_are_reported() -> None:
    problems = [*judged(hour_of((3.0, 90.0), (3.0, 90.0), (3.3, 97.0), (3.6, 104.0), held=300))]
    assert problems == [
        "CPU a run rose by 18.2% over the whole time, expected at most 5%",
        "memory grew by 14.0 MiB over the whole time, expected at most 10",
        "the redactor holds 300 values at the end, 1 after a window",
    ]
