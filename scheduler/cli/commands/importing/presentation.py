"""Shows the report of an import: a table for each job, secrets to provide, counts. Called by import_jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobs.formats.counts import format_count
from scheduler.cli.output import Cell, Column, is_terminal, print_note, print_warning, show_table, show_tabs

if TYPE_CHECKING:
    from config.importers.report import ImportReport, ReportEntry

_STYLES = {"imported": "green", "changed": "yellow", "not carried over": "red"}
_NO_JOB = "(no job)"


def show_report(result: ImportReport) -> None:
    """Print a table for each job on a terminal; in a pipe, a line for each leaf."""
    groups = _group_by_job(result)
    if not is_terminal():
        rows = [(job, *_fields(entry)) for job, entries in groups.items() for entry in entries]
        show_tabs(("job", "place", "key", "outcome", "detail"), rows)
        return
    columns = (
        Column("place", "dim", no_wrap=True),
        Column("key", no_wrap=False),
        Column("outcome"),
        Column("detail", no_wrap=False, min_width=20),
    )
    for job, entries in groups.items():
        show_table(columns, [_cells(entry) for entry in entries], title=f"{job}: {_format_counts(entries)}")


def show_summary(result: ImportReport) -> None:
    """Print secrets to provide, notes and counts on stderr."""
    for secret in result.secrets:
        places = f" ({', '.join(secret.places[:3])})" if secret.places else ""
        print_warning(f"provide secret {secret.name}: {secret.purpose}{places}")
    for note in result.notes:
        print_warning(note)

    total = format_count(len(result.entries), "value")
    jobs = format_count(len(result.definitions), "job")
    print_note(f"{jobs}, {total}: {_format_counts(result.entries)}")


def _group_by_job(result: ImportReport) -> dict[str, list[ReportEntry]]:
    groups: dict[str, list[ReportEntry]] = {name: [] for name in result.definitions}
    for entry in result.entries:
        groups.setdefault(_group_of(entry), []).append(entry)
    return {name: entries for name, entries in groups.items() if entries}


def _group_of(entry: ReportEntry) -> str:
    if len(entry.jobs) > 1:
        return f"({len(entry.jobs)} jobs)"
    return entry.jobs[0] if entry.jobs else _NO_JOB


def _format_counts(entries: Iterable[ReportEntry]) -> str:
    counts = Counter(entry.outcome.words for entry in entries)
    return ", ".join(f"{counts[words]} {words}" for words in _STYLES)


def _place(entry: ReportEntry) -> str:
    return f"{entry.file}:{entry.line}" if entry.line is not None else entry.file


def _detail(entry: ReportEntry) -> str:
    return "; ".join(filter(None, (entry.detail, f"nearest: {entry.nearest}" if entry.nearest else "")))


def _fields(entry: ReportEntry) -> tuple[str, ...]:
    return _place(entry), entry.key, entry.outcome.words, _detail(entry)


def _cells(entry: ReportEntry) -> tuple[Cell, ...]:
    words = entry.outcome.words
    return _place(entry), entry.key, (words, _STYLES[words]), _detail(entry)
