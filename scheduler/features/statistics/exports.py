"""Exports runs and statistics as JSON lines or CSV, a page at a time.

Rows are created and written in steps between which due runs start.

The last line shows whether the export is complete: a stream that ends without it was cut. A cell of CSV that a
spreadsheet would execute as a formula begins with an apostrophe.
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from jobs.formats import format_iso_instant
from jobs.runs import Outcome
from jobs.runs.histogram import Histogram
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.statistics.periods import Period, TimeRange
from scheduler.features.statistics.queries import StatsReader
from scheduler.features.statistics.sums import StatsSums, quantiles
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import JobMatcher, RunRecord
from scheduler.turns import SharedTurns

_log = logging.getLogger("scheduler.queries")

RUNS_PER_PAGE = 200
LINES_PER_CHUNK = 200
Cells = Mapping[str, Any]
Rows = AsyncIterator[Iterable[Cells]]
"""Pages of rows, which are created as they are consumed."""

RUN_FIELDS = (
    *("id", "job", "trigger", "outcome", "due_at", "started_at", "finished_at", "duration_ms", "lateness_ms"),
    *("response_time_ms", "attempts", "degraded", "status", "error", "reason", "message", "endpoint", "generation"),
    *("correlation_id", "tags"),
)
_QUANTILE_FIELDS = tuple(
    f"{name}_{share}_ms" for name in ("duration", "response_time", "lateness") for share in ("p50", "p95", "p99")
)
STATS_FIELDS = (
    *("job", "from", "to", "complete", "runs", *Outcome, "degraded", "attempts", "retried", "success_rate", "uptime"),
    *_QUANTILE_FIELDS,
)


class ExportFormat(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        return "application/x-ndjson" if self is ExportFormat.JSONL else "text/csv; charset=utf-8"


async def export_runs(
    queries: JobAndRunQueries,
    *,
    job: str | None,
    outcome: str | None,
    due: TimeRange,
    matches_job: JobMatcher | None = None,
) -> Rows:
    """Yield the runs that were due in this range, newest first. Raises StoreError.

    Each run once: one that ends during the export is in it as it was read first, unfinished. Of the rows that were
    yielded, only the ids of unfinished runs are held.
    """
    continuation: str | None = None
    unfinished: set[str] = set()
    while True:
        page = await queries.list_runs(
            job=job,
            outcome=outcome,
            due=due,
            limit=RUNS_PER_PAGE,
            continuation=continuation,
            matches_job=matches_job,
        )
        records = list[RunRecord]()
        for record in page.records:
            if record.ticket.id in unfinished:
                continue
            if record.run is None:
                unfinished.add(record.ticket.id)
            records.append(record)
        yield map(_run_cells, records)
        continuation = page.continuation
        if continuation is None:
            return


async def export_stats(reader: StatsReader, selection: JobSelection, period: Period) -> Rows:
    """Yield the statistics of each selected job, by name. Raises StoreError."""
    async for page in reader.iterate_jobs(selection, period):
        yield (_stats_cells(job, period, sums, is_complete) for job, sums, is_complete in page)


async def export_lines(
    fields: Sequence[str], rows: Rows, format: ExportFormat, turns: SharedTurns | None = None
) -> AsyncIterator[str]:
    """Yield chunks of the export: the header of CSV, the rows, and a last line about completeness.

    `turns`: those in which the rows are written, by default their own. Raises StoreError before the first chunk only:
    later, the last line reports it.
    """
    count, is_started, turns = 0, False, turns or SharedTurns()
    chunk = [] if format is ExportFormat.JSONL else [csv_line(fields)]

    def add(row: Cells) -> None:
        chunk.append(_json_line(row) if format is ExportFormat.JSONL else csv_line(map(row.get, fields)))

    try:
        async for page in rows:
            some = iter(page)
            while True:
                before = len(chunk)
                await turns.do_each(add, islice(some, LINES_PER_CHUNK - before))
                count += len(chunk) - before
                if len(chunk) < LINES_PER_CHUNK:
                    break
                yield "".join(chunk)
                chunk.clear()
                is_started = True
    except StoreError as error:
        if not is_started:
            raise
        _log.warning("could not complete an export after %d rows: %s; its last line reports that", count, error)
        yield "".join([*chunk, _last_line(format, count, is_complete=False)])
        return
    yield "".join([*chunk, _last_line(format, count, is_complete=True)])


def _last_line(format: ExportFormat, count: int, *, is_complete: bool) -> str:
    if format is ExportFormat.JSONL:
        return _json_line({"complete": is_complete, "rows": count})
    return csv_line(["# complete" if is_complete else "# incomplete", count])


def _json_line(row: Cells) -> str:
    # Escaped to ASCII, so that no control or direction character of a target reaches a terminal.
    return json.dumps(dict(row), separators=(",", ":")).replace("\x7f", "\\u007f") + "\n"


def csv_line(cells: Any) -> str:
    """Return a line whose cells a spreadsheet does not execute."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_csv_cell(cell) for cell in cells])
    return line.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        value = json.dumps(dict(value), separators=(",", ":"))
    if isinstance(value, str):
        text = "".join(one if one.isprintable() else " " for one in value)
        return f"'{text}" if text.lstrip()[:1] in tuple("=+-@") else text
    return value


def _run_cells(record: RunRecord) -> Cells:
    ticket, run = record.ticket, record.run
    cells: dict[str, Any] = dict.fromkeys(RUN_FIELDS)
    cells |= {
        "id": ticket.id,
        "job": ticket.job,
        "trigger": ticket.trigger.value,
        "outcome": record.state.value,
        "due_at": _instant(ticket.due_at),
        "generation": ticket.generation,
        "correlation_id": ticket.correlation_id,
        "tags": {},
    }
    if run is None:
        return cells
    return cells | {
        "outcome": run.outcome.value,
        "started_at": _instant(run.started_at),
        "finished_at": _instant(run.finished_at),
        "duration_ms": _milliseconds(run.duration_ms),
        "lateness_ms": _milliseconds(run.lateness_ms),
        "response_time_ms": _milliseconds(run.response_time_ms),
        "attempts": len(run.attempts),
        "degraded": run.degraded,
        "status": run.status,
        "error": run.error.value if run.error is not None else None,
        "reason": run.reason.value if run.reason is not None else None,
        "message": run.message,
        "endpoint": run.endpoint,
        "tags": dict(run.tags),
    }


def _stats_cells(job: str, period: Period, sums: StatsSums, is_complete: bool) -> Cells:
    tally = sums.tally
    figures = [
        value
        for histogram in (tally.duration, tally.response_time, tally.lateness)
        for value in _rounded_quantiles(histogram)
    ]
    return {
        "job": job,
        "from": _instant(period.since),
        "to": _instant(period.until),
        "complete": is_complete,
        "runs": tally.runs,
        **{outcome.value: tally.count(outcome) for outcome in Outcome},
        "degraded": tally.degraded,
        "attempts": tally.attempts,
        "retried": tally.retried,
        "success_rate": None if sums.success_rate is None else round(sums.success_rate, 6),
        "uptime": None if sums.uptime_ratio is None else round(sums.uptime_ratio, 6),
        **dict(zip(_QUANTILE_FIELDS, figures, strict=True)),
    }


def _rounded_quantiles(histogram: Histogram) -> list[float | None]:
    return [_milliseconds(value) for value in quantiles(histogram)]


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _instant(instant: datetime) -> str:
    return format_iso_instant(instant, precise=instant.microsecond > 0)
