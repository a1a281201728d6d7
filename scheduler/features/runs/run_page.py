"""The page of a run at /api/dashboard/runs/{run_id}: its outcome, its attempts, and what differs from a good run.

A waterfall shows the phases of the attempts and their steps, as SVG of the server (templates/run/attempts.html); places
are percent of its width. What is stored of an attempt, such as a certificate, appears under its names in the API.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from jobs.formats import describe_milliseconds
from jobs.runs import Attempt, Run, Ticket
from jobs.runs.details import StepDetail, StepOutcome
from jobs.runs.waits import describe_waits
from jobs.trace_ids import format_trace_id
from scheduler.api.dashboard.rendering.axes import Tick, ValueAxis, measure_axis
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.problems import ApiError
from scheduler.api.routing import ApiRouter, RunId, ServicesDep
from scheduler.catalog.catalog import JobSnapshot
from scheduler.features.runs.comparison import compare_runs
from scheduler.features.runs.models import view_attempt
from scheduler.features.runs.queries import read_run_context

PHASE_NAMES: Final = {"dns": "DNS", "connect": "connect", "tls": "TLS", "first_byte": "first byte", "body": "body"}
_MIN_WIDTH: Final = 0.3
_SIGN_MARGIN: Final = 4.0
_SIGN_CHARACTER: Final = 2.8
"""Percent of the width that a text and each of its characters take on a phone."""
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class WaterfallBar:
    """`phase`: a key of PHASE_NAMES, `unfinished`, `wait` or `step`. `place` and `width` in percent of the axis."""

    phase: str
    place: float
    width: float
    text: str

    @property
    def end(self) -> float:
        return self.place + self.width


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """An attempt, or a step of it. `place` and `end`: of the work, without the wait after it; `time`: its length.

    `result`: the status, or why it failed. `sign`: the result where its place is wide enough for it, else empty.
    """

    name: str
    result: str
    time: str
    bars: Sequence[WaterfallBar]
    place: float
    end: float
    is_bad: bool
    attempt: Attempt
    step: StepDetail | None = None

    @property
    def sign(self) -> str:
        is_wide = self.end - self.place >= _SIGN_MARGIN + _SIGN_CHARACTER * len(self.result)
        return self.result if self.is_bad and is_wide else ""

    @property
    def has_answer(self) -> bool:
        """Whether it shows what the target answered: the step that failed, of an attempt with steps."""
        steps = self.attempt.details.steps if self.attempt.details is not None else ()
        failed = next((each for each in steps if each.outcome is not StepOutcome.SUCCEEDED), None)
        return self.step is failed

    @property
    def text(self) -> str:
        """The bars in words."""
        return ", ".join(bar.text for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Waterfall:
    """`phases`: those that occur, for the legend."""

    rows: Sequence[WaterfallRow]
    ticks: Sequence[Tick]
    phases: Sequence[str]


def draw_waterfall(run: Run) -> Waterfall | None:
    """Return the waterfall; None of a run without attempts."""
    if not run.attempts:
        return None
    axis = measure_axis(max(_end_of(attempt, run) for attempt in run.attempts), describe_milliseconds)
    rows = [row for attempt in run.attempts for row in _draw_attempt(attempt, run, axis)]
    used = {bar.phase for row in rows for bar in row.bars}
    ticks = [Tick(round(100 - tick.place, 3), tick.text, bool(number % 2)) for number, tick in enumerate(axis.ticks)]
    return Waterfall(rows, ticks, [*filter(used.__contains__, (*PHASE_NAMES, "unfinished", "wait", "step"))])


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
    total, wait = attempt.phases.total_ms, attempt.wait_ms
    work = _draw_bar("", start, total, describe_milliseconds(total), axis)
    if wait is not None:
        text = f"wait {describe_milliseconds(wait)}"
        bars.append(_draw_bar("wait", start + total, _end_of(attempt, run) - start - total, text, axis))
    result = _words_of(attempt.error) if attempt.status is None else str(attempt.status)
    name = f"Attempt {attempt.number}"
    yield WaterfallRow(name, result, work.text, bars, work.place, work.end, not attempt.succeeded, attempt)
    yield from _draw_steps(attempt, start, axis)


def _draw_steps(attempt: Attempt, start: float, axis: ValueAxis) -> Iterator[WaterfallRow]:
    at = start
    for step in attempt.details.steps if attempt.details is not None else ():
        is_bad = step.outcome is not StepOutcome.SUCCEEDED
        result = _words_of(step.outcome) if step.status is None else str(step.status)
        bar = _draw_bar("step", at, step.took_ms, describe_milliseconds(step.took_ms), axis)
        yield WaterfallRow(step.name, result, bar.text, [bar], bar.place, bar.end, is_bad, attempt, step)
        at += step.took_ms


def _words_of(value: str | None) -> str:
    return "" if value is None else value.replace("_", " ")


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


_SHOWN = frozenset(
    {"number", "started_at", "status_code", "error", "message", "phases", "failures", "wait_ms", "body", "steps"}
)
"""Fields of an attempt that the page shows elsewhere."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(f"{DASHBOARD_PATH}/runs/{{run_id}}")
async def show_run(request: Request, uses: ServicesDep, run_id: RunId) -> Response:
    """Show the page of a run in any state."""
    record = await uses.queries.find_run(run_id)
    if record is None:
        raise ApiError(HTTPStatus.NOT_FOUND, f"There is no run {run_id!r}; the retention may have removed it.")
    run, jobs = record.run, uses.queries.current_jobs()
    context = await read_run_context(uses.queries, uses.incidents, record, uses.clock.now())
    return await respond(
        request,
        uses,
        "run.html",
        page="runs",
        record=record,
        ticket=record.ticket,
        run=run,
        waited="" if run is None else describe_waits(run.waits, run.lateness_ms),
        job_exists=record.ticket.job in jobs,
        cause=_parent_run_id(record.ticket, jobs),
        waterfall=None if run is None else draw_waterfall(run),
        phase_names=PHASE_NAMES,
        context=context,
        differences=compare_runs(run, context.good) if run is not None and context.good is not None else (),
        details=_other_details(run),
        trace_id=format_trace_id(record.ticket.id),
    )


def other_values(stored: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return the values under unknown names that are not empty."""
    return {
        name: left
        for name, value in stored.items()
        if name not in known and not _is_empty(left := _without_empty(value))
    }


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        return other_values(value, ())
    if isinstance(value, list):
        return [_without_empty(one) for one in value]
    return value


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})


def _parent_run_id(ticket: Ticket, jobs: JobSnapshot) -> str | None:
    """Return the run that caused this one, if the correlation id is the id of another run."""
    other = ticket.correlation_id
    return other if other != ticket.id and other.rpartition("@")[0] in jobs else None


def _other_details(run: Run | None) -> dict[int, dict[str, Any]]:
    """Return the further details of each attempt, by its number."""
    found = {}
    for attempt in run.attempts if run is not None else ():
        values = other_values(view_attempt(attempt).model_dump(mode="json"), _SHOWN)
        found[attempt.number] = values | values.pop("details", {})
    return found
