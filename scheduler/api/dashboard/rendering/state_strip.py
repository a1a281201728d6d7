"""The states of a job over time, as a strip of SVG. Pure.

Called by scheduler.api.dashboard.job_charts, and drawn by templates/charts.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.runs.states import JobStatus
from scheduler.api.dashboard.rendering.axes import Tick, TimeAxis

_SLOTS = 400
"""Parts of the strip: a state that is shorter than a part is shown in all of it, unless a worse one is."""
_BY_SEVERITY = (
    *(JobStatus.REMOVED, JobStatus.DISABLED, JobStatus.PAUSED, JobStatus.WAITING, JobStatus.UP, JobStatus.UNKNOWN),
    *(JobStatus.DEGRADED, JobStatus.SILENT, JobStatus.DOWN),
)


@dataclass(frozen=True, slots=True)
class StateSpan:
    """The job was in a state from `begin` to `end`; None: it is not known. `cause`: why it entered the state."""

    state: JobStatus | None
    begin: datetime
    end: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class StripPart:
    """`place` and `width` in percent. `state`: empty if it is not known. `text`: for people."""

    place: float
    width: float
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class StateStrip:
    parts: Sequence[StripPart]
    time_ticks: Sequence[Tick]
    label: str


def draw_state_strip(spans: Sequence[StateSpan], axis: TimeAxis, label: str) -> StateStrip:
    """Return the strip of spans in the order of time."""
    slots: list[StateSpan | None] = [None] * _SLOTS
    for span in spans:
        first, last = (axis.place(at) * _SLOTS / 100 for at in (span.begin, span.end))
        for slot in range(int(first), min(max(int(last - 1e-9), int(first)) + 1, _SLOTS)):
            if _rank(span) >= _rank(slots[slot]):
                slots[slot] = span
    return StateStrip(list(_join_slots(slots, axis)), axis.ticks, label)


def _rank(span: StateSpan | None) -> int:
    return -1 if span is None or span.state is None else _BY_SEVERITY.index(span.state)


def _join_slots(slots: Sequence[StateSpan | None], axis: TimeAxis) -> Iterable[StripPart]:
    start = 0
    for slot in range(1, _SLOTS + 1):
        if slot < _SLOTS and slots[slot] is slots[start]:
            continue
        span = slots[start]
        state = span.state.value if span is not None and span.state is not None else ""
        yield StripPart(start * 100 / _SLOTS, (slot - start) * 100 / _SLOTS, state, _describe_part(span, axis))
        start = slot


def _describe_part(span: StateSpan | None, axis: TimeAxis) -> str:
    if span is None or span.state is None:
        return "not known"
    cause = f": {span.cause}" if span.cause else ""
    return f"{span.state}, {axis.format(span.begin)} to {axis.format(span.end)}{cause}"
