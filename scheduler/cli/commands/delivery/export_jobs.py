"""`export-jobs`: write the jobs that run as job files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.commands.delivery.drift import SetOption
from scheduler.cli.delivery.connection import KEY_VARIABLE, KeyOption, UrlOption
from scheduler.cli.output import EXIT_FAILED, fail, print_note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduler.cli.delivery.connection import Connection
    from scheduler.cli.delivery.port import RunningJob, SchedulerReader

_FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files are written.")]
_ByHandOption = Annotated[
    bool, typer.Option("--made-by-hand", help="Stored jobs that belong to no set, to make them part of one.")
]


def export_jobs(
    folder: _FolderArgument,
    owner: SetOption = None,
    by_hand: _ByHandOption = False,
    url: UrlOption = None,
    key_variable: KeyOption = KEY_VARIABLE,
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
    from scheduler.cli.delivery.connection import read_connection
    from scheduler.cli.delivery.exporting import select_jobs, write_files
    from scheduler.cli.delivery.working_copy import check_owner
    from scheduler.features.jobs.definitions import JobFileFormat

    if owner is not None:
        check_owner(owner)
        if by_hand:
            fail("--set and --made-by-hand exclude each other")
    chosen = "" if by_hand else owner
    jobs = select_jobs(_read_jobs(read_connection(url, key_variable)), chosen)
    if not jobs:
        what = f"the set {owner} has no jobs" if owner else "no stored job was made by hand" if by_hand else ""
        fail(what or "no job is defined in a job file; --set exports a set of stored jobs", EXIT_FAILED)
    texts = write_files(jobs, chosen, JobFileFormat.JSON if as_json else JobFileFormat.YAML)
    _write(folder, texts, force)
    print_note(f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} written")


def _read_jobs(connection: Connection | None) -> Sequence[RunningJob]:
    from scheduler.cli.context import load_for_command
    from scheduler.cli.delivery.planning import with_scheduler
    from scheduler.cli.delivery.working_copy import WorkingCopy

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
