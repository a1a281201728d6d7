"""`drift`: show what runs otherwise than the files define it. `export-jobs`: write what runs as job files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs.formats import format_count, format_iso_instant
from scheduler.cli.output import (
    EXIT_CHANGES,
    EXIT_FAILED,
    Column,
    fail,
    is_terminal,
    print_error,
    print_note,
    show_json,
    show_table,
    show_tabs,
)
from scheduler.cli.reach import find_connection
from scheduler.cli.selection import FilesArgument
from scheduler.cli.times import ZoneOption
from scheduler.features.delivery.markdown import cell, code, format_in_zone, join_sections, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduler.cli.connection import Connection
    from scheduler.features.delivery.planning import DriftedField, DriftedJob, DriftReport
    from scheduler.features.delivery.port import RunningJob, SchedulerReader

SetOption = Annotated[
    str | None,
    typer.Option(
        "--set",
        metavar="NAME",
        help="Name of the set of stored jobs. (default: the jobs of the scheduler's job files)",
        show_default=False,
    ),
]
MAX_ROWS: Final = 300
"""Rows of the comment; the rest is counted."""
_FIELDS = ("job", "difference", "field", "in_files", "running", "changed_by", "changed_at", "action")
_MAX_VALUE = 200
_FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files are written.")]
_ByHandOption = Annotated[
    bool, typer.Option("--made-by-hand", help="Stored jobs that belong to no set, to make them part of one.")
]


def drift(
    files: FilesArgument,
    owner: SetOption = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for an issue or a message.")] = False,
    zone: ZoneOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what runs otherwise than the files define it: jobs, fields, and who changed them when.

    Nothing is changed. The audit trail names the caller of the latest change of a stored job. Exit code 0: what runs is
    as the files, 3: it differs, 2: a file is invalid.

    \b
    Examples:
      drift jobs/ --set reports
      drift jobs/ --url https://scheduler.example.com --markdown
    """
    from scheduler.cli.times import parse_zone_option
    from scheduler.cli.working_copy import read_comparison
    from scheduler.features.delivery.planning import PlanOptions, find_drift

    if as_json and as_markdown:
        fail("--json and --markdown exclude each other")
    shown_zone = parse_zone_option(zone)
    compared = read_comparison("drift", files, owner, find_connection())

    async def work(scheduler: SchedulerReader) -> DriftReport:
        found = await compared.plan_with(scheduler, PlanOptions(has_review=False))
        return await find_drift(scheduler, found.plan, found.sections or ())

    report = compared.run(work)
    if as_json:
        show_json(drift_to_json(report))
    elif as_markdown:
        print(write_drift(report, shown_zone), end="")
    else:
        show_drift(report, shown_zone)
    if report.is_drifted:
        raise typer.Exit(EXIT_CHANGES)


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


def export_jobs(
    folder: _FolderArgument,
    owner: SetOption = None,
    by_hand: _ByHandOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON files. (default: YAML)")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Write the jobs that run as job files that load unchanged, to start with jobs as code.

    The files have the full form, without defaults. `plan` of the folder shows no change. Exit code 0: the files are
    written, 1: a file exists or there are no jobs, 2: an option is invalid.

    \b
    Examples:
      export-jobs jobs/ --set reports
      export-jobs jobs/ --url https://scheduler.example.com
      export-jobs jobs/ --made-by-hand
    """
    from scheduler.cli.working_copy import check_owner
    from scheduler.features.delivery.job_files import select_jobs, write_files
    from scheduler.features.jobs.definitions import JobFileFormat

    if owner is not None:
        check_owner(owner)
        if by_hand:
            fail("--set and --made-by-hand exclude each other")
    chosen = "" if by_hand else owner
    jobs = select_jobs(_read_jobs(find_connection()), chosen)
    if not jobs:
        what = f"the set {owner} has no jobs" if owner else "no stored job was made by hand" if by_hand else ""
        fail(what or "no job is defined in a job file; --set exports a set of stored jobs", EXIT_FAILED)
    texts = write_files(jobs, chosen, JobFileFormat.JSON if as_json else JobFileFormat.YAML)
    _write(folder, texts, force)
    print_note(f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} written")


def _read_jobs(connection: Connection | None) -> Sequence[RunningJob]:
    from scheduler.cli.context import load_for_command
    from scheduler.cli.working_copy import with_scheduler
    from scheduler.features.delivery.planning import WorkingCopy

    configuration = None if connection is not None else load_for_command("export-jobs")

    async def read(scheduler: SchedulerReader) -> Sequence[RunningJob]:
        return await scheduler.read_jobs()

    return with_scheduler(connection, configuration, WorkingCopy({}), read)


def _write(folder: Path, texts: Mapping[str, str], force: bool) -> None:
    from config.whole_files import replace_file

    existing = [name for name in texts if (folder / name).exists()]
    if existing and not force:
        fail(f"{folder / existing[0]} exists: choose another folder, or give --force", EXIT_FAILED)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            replace_file(folder / name, text)
            print(folder / name)
    except OSError as error:
        fail(f"{folder} cannot be written: {(error.strerror or type(error).__name__).lower()}", EXIT_FAILED)
