"""Shows the report of an import in the order of what a person must do. Called by import_jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobs.formats.counts import format_count
from scheduler.cli.commands.importing.grouping import format_detail, format_place, group_values, join_names
from scheduler.cli.output import Cell, Column, is_terminal, print_note, print_warning, show_table, show_tabs

if TYPE_CHECKING:
    from importers.report import ImportReport, ReportEntry

_STYLES = {"imported": "green", "changed": "yellow", "not carried over": "red"}
_SHOWN = ("not carried over", "changed")
_NO_JOB = "(no job)"
_MOST_SUBJECTS, _MOST_FIELDS, _MOST_NAMES = 6, 3, 20


def show_report(result: ImportReport) -> None:
    """Print what was lost and what was changed, values with one reason together."""
    groups = {outcome: group_values(result.entries, outcome) for outcome in _SHOWN}
    if not is_terminal():
        rows = [
            (outcome, ", ".join(group.subjects), ", ".join(group.fields), group.detail)
            for outcome, listed in groups.items()
            for group in listed
        ]
        show_tabs(("outcome", "jobs", "keys", "detail"), rows)
        return
    columns = (
        Column("jobs", no_wrap=False, min_width=16),
        Column("keys", "dim", no_wrap=False, min_width=12),
        Column("detail", no_wrap=False, min_width=20),
    )
    for outcome, listed in groups.items():
        if listed:
            shown = [
                ((join_names(group.subjects, _MOST_SUBJECTS), _STYLES[outcome]),
                 join_names(group.fields, _MOST_FIELDS), group.detail)
                for group in listed
            ]  # fmt: skip
            count = format_count(sum(group.count for group in listed), "value")
            show_table(columns, shown, title=f"{outcome.capitalize()}: {count}")


def show_all_values(result: ImportReport) -> None:
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


def show_secrets(result: ImportReport) -> None:
    """Print the secrets to provide on stderr."""
    for secret in result.secrets:
        places = f" ({', '.join(secret.places[:3])})" if secret.places else ""
        print_warning(f"provide secret {secret.name}: {secret.purpose}{places}")


def show_summary(result: ImportReport, *, are_all_shown: bool) -> None:
    """Print jobs without alerts, notes and counts on stderr."""
    if result.jobs_without_rule:
        jobs = _format_jobs(result.jobs_without_rule)
        print_warning(f"without an alert rule: {jobs}; add alerts, or a rule in alerting.rules")
    if result.jobs_without_notification:
        jobs = _format_jobs(result.jobs_without_notification)
        print_warning(f"with an alert rule that names no channel: {jobs}; add notify, or a route in alerting.routes")
    for note in result.notes:
        print_warning(note)

    total = format_count(len(result.entries), "value")
    jobs = format_count(len(result.definitions), "job")
    print_note(f"{jobs}, {total}: {_format_counts(result.entries)}")
    unchanged = Counter(entry.outcome.words for entry in result.entries)["imported"]
    if unchanged and not are_all_shown:
        print_note(f"{format_count(unchanged, 'value')} carried over unchanged: --verbose lists all values")


def _format_jobs(names: Iterable[str]) -> str:
    listed = list(names)
    return f"{format_count(len(listed), 'job')} ({join_names(listed, _MOST_NAMES)})"


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


def _fields(entry: ReportEntry) -> tuple[str, ...]:
    return format_place(entry), entry.key, entry.outcome.words, format_detail(entry)


def _cells(entry: ReportEntry) -> tuple[Cell, ...]:
    words = entry.outcome.words
    return format_place(entry), entry.key, (words, _STYLES[words]), format_detail(entry)
