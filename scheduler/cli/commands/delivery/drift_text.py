"""A drift as text, JSON and Markdown. Called by `drift`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Final

from jobs.formats.counts import format_count
from jobs.formats.instants import format_iso_instant
from scheduler.cli.delivery.reports.markdown import cell, code, format_in_zone, join_sections, table
from scheduler.cli.output import Column, is_terminal, print_error, print_note, show_table, show_tabs

if TYPE_CHECKING:
    from scheduler.cli.delivery.drift import DriftedField, DriftedJob, DriftReport

MAX_ROWS: Final = 300
"""Rows of the comment; the rest is counted."""
_FIELDS = ("job", "difference", "field", "in_files", "running", "changed_by", "changed_at", "action")
_MAX_VALUE = 200


def show_drift(report: DriftReport, zone: tzinfo) -> None:
    """Print a row for each field that differs, and for each job that is missing or extra."""
    rows = list(_list_rows(report, zone if is_terminal() else None))
    if is_terminal() and rows:
        columns = (
            Column("job", "bold"),
            Column("difference"),
            Column("field"),
            Column("in the files", no_wrap=False),
            Column("running", no_wrap=False),
            Column("changed by", no_wrap=False),
            Column("at"),
            Column("action", is_optional=True),
        )
        show_table(columns, rows)
    elif not is_terminal():
        show_tabs(_FIELDS, rows)
    for reason in report.conflicts.values():
        print_error(f"conflict: {reason}")
    print_note(summarize_drift(report))


def summarize_drift(report: DriftReport) -> str:
    """`set reports: 2 jobs differ from the files, 12 do not`."""
    subject = f"set {report.owner}" if report.owner else "job files"
    count = len(report.jobs)
    differ = format_count(count, "job differs", "jobs differ") if count else "no job differs"
    return f"{subject}: {differ} from the files, {report.same} do not"


def drift_to_json(report: DriftReport) -> str:
    """Return all of it. Instants are UTC."""
    return json.dumps(
        {
            "owner": report.owner,
            "drifted": report.is_drifted,
            "same": report.same,
            "jobs": [_to_document(each) for each in report.jobs],
            "conflicts": [{"name": name, "reason": reason} for name, reason in report.conflicts.items()],
        },
        indent=2,
    )


def write_drift(report: DriftReport, zone: tzinfo) -> str:
    """Return a comment or message in Markdown."""
    subject = f"set {code(report.owner)}" if report.owner else "job files"
    count = len(report.jobs)
    title = f"### Drift of the {subject}: {count or 'no'} {'job' if count == 1 else 'jobs'}, {report.same} as the files"
    rows = [[*map(cell, row[:6]), row[6] or "-", cell(row[7])] for row in _list_rows(report, zone)]
    listed: list[str] = []
    if rows:
        titles = ["Job", "Difference", "Field", "In the files", "Running", "Changed by", "At", "Action"]
        listed = table(titles, rows[:MAX_ROWS])
    if len(rows) > MAX_ROWS:
        listed += ["", f"{len(rows) - MAX_ROWS} more rows are not listed."]
    conflicts = [[cell(name), cell(reason, 400)] for name, reason in report.conflicts.items()]
    named = ["#### Conflicts", "", *table(["Job", "Reason"], conflicts[:MAX_ROWS])] if conflicts else []
    return join_sections(([title], listed, named))


def _list_rows(report: DriftReport, zone: tzinfo | None) -> Iterator[tuple[str, ...]]:
    """`zone` None: instants in ISO 8601."""
    for job in report.jobs:
        change = job.change
        at = "" if change is None else format_in_zone(change.at, zone) if zone else _iso(change.at)
        who = ("", "", "") if change is None else (change.by, at, change.action)
        for field in job.fields or (None,):
            yield (job.name, job.kind, *_show_field(field), *who)


def _iso(at: Any) -> str:
    return format_iso_instant(at.astimezone(UTC), precise=at.microsecond != 0)


def _show_field(field: DriftedField | None) -> tuple[str, str, str]:
    if field is None:
        return "", "", ""
    return field.path, _format(field.in_files), _format(field.running)


def _format(value: Any) -> str:
    text = "-" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"


def _to_document(job: DriftedJob) -> dict[str, Any]:
    change = job.change
    return {
        "name": job.name,
        "difference": job.kind,
        "fields": [{"path": each.path, "in_files": each.in_files, "running": each.running} for each in job.fields],
        "change": None if change is None else {"by": change.by, "at": _iso(change.at), "action": change.action},
    }
