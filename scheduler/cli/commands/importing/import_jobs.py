"""`import`: write job files from the configuration of another tool, and report what became of each line of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.cli.commands.importing.options import (
    JsonOption,
    OverwriteOption,
    PathsArgument,
    ReportOption,
    SourceArgument,
    StrictOption,
    TargetsOption,
    TimezoneOption,
    ToOption,
    ValuesOption,
    VerboseOption,
)
from scheduler.cli.output import EXIT_BAD_INPUT, EXIT_FAILED, fail, print_warning, show_json

if TYPE_CHECKING:
    from importers.import_context import ImportOptions
    from importers.report import ImportReport
    from importers.source_file import SourceFile


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
    from importers.errors import ImportFailed, UnreadableSource

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
    from importers.registry import SOURCES
    from importers.source_file import SourceFile

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
    from importers.errors import UnreadableSource
    from importers.source_file import SourceFile

    folder = path.resolve()
    files: list[SourceFile] = []
    for one in sorted(path.rglob("*")):
        if one.name.startswith(".") or not one.is_file():
            continue
        if one.resolve().is_relative_to(folder):
            files.append(SourceFile(one))
        else:
            print_warning(f"{one}: is a link to outside the folder, and is not read; name the file itself")
    if not files:
        raise UnreadableSource(str(path), "is a folder without files", "name a file of the source")
    return files


def _read_options(
    values: tuple[str, ...] | list[str], timezone: str | None, targets: tuple[Path, ...] | list[Path]
) -> ImportOptions:
    from zoneinfo import available_timezones

    from importers.import_context import ImportOptions
    from importers.source_file import SourceFile

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

    from scheduler.cli.commands.importing.writing import check_free, plan_files, write_files

    files = plan_files(result, to)
    if report is not None:
        text = json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n"
        files[report] = text
    if not overwrite:
        check_free(files)
    write_files(files)


def _show(result: ImportReport, *, as_json: bool, verbose: bool, on_stderr: bool) -> None:
    import json

    from scheduler.cli.commands.importing.presentation import show_all_values, show_report, show_secrets, show_summary

    show_secrets(result)
    if as_json and not on_stderr:
        show_json(json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    elif not on_stderr:
        (show_all_values if verbose else show_report)(result)
    show_summary(result, are_all_shown=as_json or verbose)
