"""`import`: write job files from the configuration of another tool, and report what became of each line of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_count
from scheduler.cli.output import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    Cell,
    Column,
    fail,
    is_terminal,
    print_note,
    print_warning,
    show_json,
    show_table,
    show_tabs,
)
from scheduler.features.importing.grouping import format_detail, format_place, group_values, join_names

if TYPE_CHECKING:
    from importers.import_context import ImportOptions
    from importers.report import ImportReport, ReportEntry
    from importers.source_tree import SourceFile

SourceArgument = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="gatus, blackbox, crontab, ...: see docs/importing.md. auto: detect it."),
]
PathsArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="PATH...", help="Files of the source, or folders of them; - is stdin.")
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", metavar="PATH", help="Job file (*.yaml), or folder with a job file for each PATH; - prints."),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit code 1 if something is not carried over; write nothing then.")
]
ReportOption = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write the report as JSON.", dir_okay=False)
]
TargetsOption = Annotated[
    list[Path] | None,
    typer.Option("--targets", metavar="FILE", help="File with targets, for blackbox modules. Repeatable."),
]
ValuesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Value of a variable, such as ${NAME}. Repeatable."),
]
TimezoneOption = Annotated[
    str | None, typer.Option("--timezone", help="IANA time zone of times without one. (default: UTC)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show each value, also those carried over unchanged.")]
_STYLES = {"imported": "green", "changed": "yellow", "not carried over": "red"}
_SHOWN = ("not carried over", "changed")
_NO_JOB = "(no job)"
_MAX_SUBJECTS, _MAX_FIELDS, _MAX_NAMES = 6, 3, 20
_JOB_FILE_SUFFIXES = (".yaml", ".yml")


def import_jobs(
    source: SourceArgument,
    paths: PathsArgument = None,
    to: ToOption = None,
    overwrite: OverwriteOption = False,
    strict: StrictOption = False,
    report: ReportOption = None,
    targets: TargetsOption = None,
    values: ValuesOption = None,
    timezone: TimezoneOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import jobs from the configuration of another tool.

    The report shows the secrets to provide, what is not carried over (why, and what is nearest), what was changed
    (how), and jobs without alerts; with --verbose or --json, each value of the source with its file, line and key.
    Passwords and tokens become references to secrets. The written job files are valid. Without --to, nothing is
    written. Exit code 2: a source cannot be read.

    \b
    Examples:
      import gatus config.yaml
      import gatus config/ --to jobs/gatus.yaml --strict
      import blackbox blackbox.yml prometheus.yml --to jobs/
      import crontab /etc/crontab --timezone Europe/Berlin --to -
      crontab -l | python -m scheduler import crontab - --to jobs/cron.yaml
      import auto config.yaml --json
    """
    from importers.source_tree import ImportFailed, UnreadableSource

    try:
        source, files = _find_files(source, paths or [])
        result = _run(source, files, _read_options(values or (), timezone, targets or ()))
    except UnreadableSource as error:
        fail(str(error), EXIT_BAD_INPUT)
    except ImportFailed as error:
        fail(str(error), EXIT_FAILED)
    is_refused = strict and not result.is_complete
    _write(result, None if is_refused else to, report, overwrite=overwrite)
    _show(result, as_json=as_json, verbose=verbose, on_stderr=to == "-")
    if is_refused:
        fail("--strict: something is not carried over; no job file is written", EXIT_FAILED)


def _run(source: str, files: list[SourceFile], options: ImportOptions) -> ImportReport:
    from importers.running import detect_source, run_import

    return run_import(detect_source(files) if source == "auto" else source, files, options)


def _find_files(source: str, paths: list[Path]) -> tuple[str, list[SourceFile]]:
    """Return the source and all files. A first path in place of the source means `auto`."""
    import sys

    from config.documents.document import MAX_FILE_BYTES
    from importers.running import SOURCES
    from importers.source_tree import SourceFile

    if source not in SOURCES and source != "auto":
        if not Path(source).exists():
            fail(f"SOURCE: expected auto or one of {', '.join(SOURCES)}, got {source!r}")
        source, paths = "auto", [Path(source), *paths]
    if not paths:
        fail("PATH: expected at least one file or folder of the source")
    files: list[SourceFile] = []
    for path in paths:
        if str(path) == "-":
            files.append(SourceFile(path, "stdin", sys.stdin.buffer.read(MAX_FILE_BYTES + 1)))
        elif path.is_dir():
            files += _list_folder(path)
        else:
            files.append(SourceFile(path))
    return source, files


def _list_folder(path: Path) -> list[SourceFile]:
    """Return the files below a folder, without those outside it that links lead to: who made the folder has perhaps no
    right to read them. Raises UnreadableSource: the folder has no files.
    """
    from importers.source_tree import SourceFile, UnreadableSource

    folder = path.resolve()
    files: list[SourceFile] = []
    for file in sorted(path.rglob("*")):
        if file.name.startswith(".") or not file.is_file():
            continue
        if file.resolve().is_relative_to(folder):
            files.append(SourceFile(file))
        else:
            print_warning(f"{file}: is a link to outside the folder, and is not read; name the file itself")
    if not files:
        raise UnreadableSource(str(path), "is a folder without files", "name a file of the source")
    return files


def _read_options(
    values: tuple[str, ...] | list[str], timezone: str | None, targets: tuple[Path, ...] | list[Path]
) -> ImportOptions:
    from zoneinfo import available_timezones

    from importers.import_context import ImportOptions
    from importers.source_tree import SourceFile

    variables = {}
    for one in values:
        name, equals, value = one.partition("=")
        if not (name and equals):
            fail(f"--set: expected NAME=VALUE, got {name!r}")
        variables[name] = value
    if timezone is not None and timezone not in available_timezones():
        fail(f"--timezone: expected an IANA name such as Europe/Berlin, got {timezone!r}")
    return ImportOptions(variables, timezone, [SourceFile(path) for path in targets])


def _write(result: ImportReport, to: str | None, report: Path | None, *, overwrite: bool) -> None:
    import json

    files = plan_files(result, to)
    if report is not None:
        text = json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n"
        files[report] = text
    if not overwrite:
        check_free(files)
    write_files(files)


def _show(result: ImportReport, *, as_json: bool, verbose: bool, on_stderr: bool) -> None:
    import json

    show_secrets(result)
    if as_json and not on_stderr:
        show_json(json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    elif not on_stderr:
        (show_all_values if verbose else show_report)(result)
    show_summary(result, are_all_shown=as_json or verbose)


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
                ((join_names(group.subjects, _MAX_SUBJECTS), _STYLES[outcome]),
                 join_names(group.fields, _MAX_FIELDS), group.detail)
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
    return f"{format_count(len(listed), 'job')} ({join_names(listed, _MAX_NAMES)})"


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


def plan_files(result: ImportReport, to: str | None) -> dict[Path, str]:
    """Return the text of each file to write. `to`: see the option; `-` prints the job file."""
    if to is None:
        return {}
    if to == "-":
        print(result.text, end="")
        return {}
    path = Path(to)
    if path.suffix in _JOB_FILE_SUFFIXES and not path.is_dir():
        return {path: result.text}
    if path.suffix and not path.is_dir():
        fail(f"--to: expected a name that ends in {' or '.join(_JOB_FILE_SUFFIXES)}, a folder, or -, got {to!r}")
    files: dict[Path, str] = {}
    for source, text in result.texts_by_file.items():
        stem = PurePath(source).stem.lstrip(".") or result.source
        name, number = f"{stem}.yaml", 1
        while path / name in files:
            number += 1
            name = f"{stem}-{number}.yaml"
        files[path / name] = text
    return files


def check_free(files: Iterable[Path]) -> None:
    """End the command if a file exists."""
    existing = [str(file) for file in files if file.exists() or file.is_symlink()]
    if existing:
        fail(f"would replace {', '.join(existing)}: use --overwrite, or another --to")


def write_files(files: Mapping[Path, str]) -> None:
    """Write each file completely or not at all."""
    from config.whole_files import replace_file

    for file, text in files.items():
        try:
            replace_file(file, text)
        except OSError as error:
            fail(f"could not write {file}: {(error.strerror or type(error).__name__).lower()}", EXIT_FAILED)
