"""Values are gathered until the full five minutes of the clock."""

from __future__ import annotations

from observability import names
from observability.exporters.measurements import MetricWindow


class Clock:
    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def test_an_empty_window_does_not_end() -> None:
    assert MetricWindow(now=Clock(0.0)).ends_in() is None


def test_a_window_ends_at_the_full_five_minutes() -> None:
    clock = Clock(1000.0)
    window = MetricWindow(now=clock)
    window.add(names.RUNS, 1.0, {"job": "a"})
    assert window.ends_in() == 200.0
    clock.at = 1250.0
    assert window.ends_in() == 0.0


def test_everything_comes_out_once_and_the_next_value_begins_another_window() -> None:
    clock = Clock(1000.0)
    window = MetricWindow(now=clock)
    for value in (1.0, 2.0):
        window.add(names.DURATIONS, value, {"outcome": "succeeded", "job": "a"})
    window.add(names.RUNS, 1.0, {"job": "a"})
    assert list(window.drain()) == [
        (names.DURATIONS, 1.0, {"job": "a", "outcome": "succeeded"}),
        (names.DURATIONS, 2.0, {"job": "a", "outcome": "succeeded"}),
        (names.RUNS, 1.0, {"job": "a"}),
    ]
    assert (list(window.drain()), window.ends_in()) == ([], None)
    clock.at = 1300.0
    window.add(names.RUNS, 1.0, {"job": "a"})
    assert window.ends_in() == 200.0
