"""The page of a run at /api/dashboard/runs/{run_id}: its outcome, its attempts, and what differs from a good run.

A waterfall shows the phases of the attempts, as an SVG of the server (templates/run/waterfall.html); places are percent
of its width. Details of an attempt, such as steps or a certificate, appear under their names in the API.
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
from jobs.runs.details import StepOutcome
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
    if attempt.starved:
        result.append("unreliable times: the scheduler lacked CPU")
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


_PHASES = {
    "dns_ms": "DNS",
    "connect_ms": "Connect",
    "tls_ms": "TLS",
    "first_byte_ms": "First byte",
    "total_ms": "Total",
}
_SHOWN = frozenset({"number", "started_at", "status_code", "error", "message", "phases", "failures", "wait_ms", "body"})
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
        phases=_used_phases(run),
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


def _used_phases(run: Run | None) -> dict[str, str]:
    """Return the phases that an attempt of the run had, with their headings."""
    attempts = run.attempts if run is not None else ()
    return {
        name: heading
        for name, heading in _PHASES.items()
        if any(getattr(attempt.phases, name) is not None for attempt in attempts)
    }


def _other_details(run: Run | None) -> list[tuple[int, dict[str, Any]]]:
    """Return the details of each attempt that has some, with its number."""
    found = []
    for attempt in run.attempts if run is not None else ():
        values = other_values(view_attempt(attempt).model_dump(mode="json"), _SHOWN)
        details = values.pop("details", {})
        if values := values | details:
            found.append((attempt.number, values))
    return found
