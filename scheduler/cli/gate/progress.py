"""Shows how far a gate is: a line that changes on a terminal, a line a minute elsewhere. Called by `gate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from jobs.formats.durations import describe_span
from scheduler.cli.output import create_console, is_terminal, print_note

if TYPE_CHECKING:
    from jobs.ports import Clock
    from scheduler.cli.gate.watching import GateRound

LINE_INTERVAL: Final = 60.0
"""Seconds between two lines in the log of a pipeline; a further failure is a line at once."""


@contextmanager
def show_rounds(clock: Clock) -> Iterator[Callable[[GateRound], None]]:
    """Show each round until the context ends."""
    if is_terminal():
        with create_console().status("starting") as status:
            yield lambda round: status.update(describe_round(round))
        return
    shown_at, failed = float("-inf"), 0

    def show(round: GateRound) -> None:
        nonlocal shown_at, failed
        now = clock.monotonic()
        if now - shown_at >= LINE_INTERVAL or round.failed > failed:
            shown_at, failed = now, round.failed
            print_note(describe_round(round))

    yield show


def describe_round(round: GateRound) -> str:
    """`24 runs, 1 failed; 9 min 45 s left`."""
    return f"{round.finished} runs, {round.failed} failed; {describe_span(round.left)} left"
