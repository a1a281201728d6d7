"""The attempts of a run as a waterfall of their phases, as an SVG of the server. Pure.

Drawn by templates/run/waterfall.html. Called by scheduler.api.dashboard.jobs.run_page. Places are percent of the width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from jobs.formats.durations import describe_milliseconds
from jobs.runs import Attempt, Run
from jobs.runs.details import StepOutcome
from scheduler.api.dashboard.rendering.charts import Tick, ValueAxis, measure_axis

PHASE_NAMES: Final = {"dns": "DNS", "connect": "connect", "tls": "TLS", "first_byte": "first byte", "body": "body"}
MAX_STEPS: Final = 30
_MIN_WIDTH: Final = 0.3
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class WaterfallBar:
    """`phase`: a key of PHASE_NAMES, `unfinished`, `wait` or `step`."""

    phase: str
    place: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    label: str
    bars: Sequence[WaterfallBar]
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Waterfall:
    """`phases`: those that occur, for the legend. `label`: the same in words."""

    rows: Sequence[WaterfallRow]
    ticks: Sequence[Tick]
    phases: Sequence[str]
    label: str


def draw_waterfall(run: Run) -> Waterfall | None:
    """Return the waterfall; None of a run without attempts."""
    if not run.attempts:
        return None
    axis = measure_axis(max(_end_of(attempt, run) for attempt in run.attempts), describe_milliseconds)
    rows = [row for attempt in run.attempts for row in _draw_attempt(attempt, run, axis)]
    used = {bar.phase for row in rows for bar in row.bars}
    ticks = [Tick(round(100 - tick.place, 3), tick.text, bool(number % 2)) for number, tick in enumerate(axis.ticks)]
    label = "; ".join(
        f"{row.label}: {', '.join(bar.text for bar in row.bars)}" if row.bars else row.label for row in rows
    )
    return Waterfall(rows, ticks, [*filter(used.__contains__, (*PHASE_NAMES, "unfinished", "wait", "step"))], label)


def list_phases(attempt: Attempt) -> Sequence[tuple[str, float]]:
    """Return the phases of an attempt in order, with their milliseconds; the rest is the body, or what did not end."""
    phases = attempt.phases
    known = (
        ("dns", phases.dns_ms),
        ("connect", phases.connect_ms),
        ("tls", phases.tls_ms),
        ("first_byte", phases.first_byte_ms),
    )
    found = [(name, value) for name, value in known if value is not None]
    rest = phases.total_ms - sum(value for _, value in found)
    if rest > 0:
        found.append(("unfinished" if phases.first_byte_ms is None else "body", rest))
    return found


def _draw_attempt(attempt: Attempt, run: Run, axis: ValueAxis) -> Iterator[WaterfallRow]:
    start = _start_of(attempt, run)
    bars, at = [], start
    for phase, length in list_phases(attempt):
        name = PHASE_NAMES.get(phase, "not finished" if attempt.error else "check")
        bars.append(_draw_bar(phase, at, length, f"{name} {describe_milliseconds(length)}", axis))
        at += length
    end = _end_of(attempt, run)
    if attempt.wait_ms is not None:
        text = f"wait {describe_milliseconds(attempt.wait_ms)}"
        bars.append(
            _draw_bar("wait", start + attempt.phases.total_ms, end - start - attempt.phases.total_ms, text, axis)
        )
    result = ["succeeded" if attempt.succeeded else str(attempt.error).replace("_", " ")]
    if attempt.status is not None:
        result.insert(0, str(attempt.status))
    time = describe_milliseconds(attempt.phases.total_ms)
    yield WaterfallRow(f"Attempt {attempt.number} · {time} · {', '.join(result)}", bars, not attempt.succeeded)
    yield from _draw_steps(attempt, start, axis)


def _draw_steps(attempt: Attempt, start: float, axis: ValueAxis) -> Iterator[WaterfallRow]:
    at = start
    for step in attempt.details.steps[:MAX_STEPS] if attempt.details is not None else ():
        time = describe_milliseconds(step.took_ms)
        status = f" · {step.status}" if step.status is not None else ""
        is_bad = step.outcome is not StepOutcome.SUCCEEDED
        outcome = f" · {step.outcome.value.replace('_', ' ')}" if is_bad else ""
        bar = _draw_bar("step", at, step.took_ms, time, axis)
        yield WaterfallRow(f"Step {step.name} · {time}{status}{outcome}", [bar], is_bad)
        at += step.took_ms


def _draw_bar(phase: str, start: float, length: float, text: str, axis: ValueAxis) -> WaterfallBar:
    place = 100 - axis.place(start)
    return WaterfallBar(
        phase, round(place, 3), round(max(100 - axis.place(start + length) - place, _MIN_WIDTH), 3), text
    )


def _start_of(attempt: Attempt, run: Run) -> float:
    """Return the milliseconds from the start of the run."""
    return max((attempt.started_at - run.started_at) / _MILLISECOND, 0.0)


def _end_of(attempt: Attempt, run: Run) -> float:
    return _start_of(attempt, run) + attempt.phases.total_ms + (attempt.wait_ms or 0.0)
