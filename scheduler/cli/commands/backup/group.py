"""`backup`: make a backup of the store, verify it, restore it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.commands.backup.store_option import StoreOption, load_store_settings, run_to_end
from scheduler.cli.output import print_note, print_warning, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.backup.records import DumpHeader, DumpTrailer
    from scheduler.backup.restoring import RestoreResult
    from scheduler.identity.api_keys import ApiKey

ABOUT = """Backups of the store: a file of JSON lines with all runs, stored jobs, incidents, the audit trail and more.

It is made while the scheduler runs, and can be restored into SQLite and into Azure Tables, whichever it comes from.

\b
Examples:
  backup create
  backup verify scheduler-20261128T220000Z.jsonl.gz
  backup restore scheduler-20261128T220000Z.jsonl.gz --store sqlite:///data/scheduler.db"""

backup = typer.Typer(help=ABOUT, no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="File of a backup.", dir_okay=False, exists=True)]
ReplaceOption = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="Replace the rows of the store: a SQLite file is renamed, rows of Azure Tables are deleted.",
    ),
]
_MOST_LISTED_KEYS = 100
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@backup.command("create")
def create(
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Compressed if the name ends with .gz. Default: scheduler-TIME.jsonl.gz in this folder.",
            dir_okay=False,
        ),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a backup, also while the scheduler runs.

    SQLite: all rows are of one instant. Azure Tables: each row is as it was when it was read.

    \b
    Examples:
      backup create
      backup create --to /backups/scheduler.jsonl.gz
    """
    from scheduler.app.backups.opening import open_store_scan
    from scheduler.backup.creating import create_backup
    from scheduler.cli.commands.backup.progress_bar import ProgressBar

    settings = load_store_settings(store)
    path = to or Path(f"scheduler-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl.gz")
    kind = "azure" if settings.uses_azure_storage else "sqlite"
    with ProgressBar() as bar:

        async def work() -> tuple[DumpHeader, DumpTrailer]:
            async with open_store_scan(settings) as scan:
                return await create_backup(scan, path, kind, lambda: datetime.now(UTC), bar)

        header, trailer = run_to_end(work)
    for table, why in header.omitted.items():
        if not _is_known(table):
            print_warning(f"table {table} is not in the backup: {why}")
    _report(path, header, trailer, f"written in {bar.elapsed}", as_json)


@backup.command("verify")
def verify(file: FileArgument, as_json: JsonOption = False) -> None:
    """Verify that a file is complete and undamaged, line by line. Nothing is changed.

    Exit code 0: it can be restored, 1: it cannot; the message names the line.

    \b
    Examples:
      backup verify scheduler-20261128T220000Z.jsonl.gz
    """
    from scheduler.backup.reading import verify_dump
    from scheduler.cli.commands.backup.progress_bar import ProgressBar

    with ProgressBar() as bar:
        header, trailer = run_to_end(lambda: verify_dump(file, bar))
    _report(file, header, trailer, f"verified in {bar.elapsed}", as_json)


@backup.command("restore")
def restore(file: FileArgument, store: StoreOption = None, replace: ReplaceOption = False) -> None:
    """Restore a backup into an empty store. Stop the scheduler first.

    The file is verified before anything is written, and all rows are read back and compared at the end. The API keys
    that become valid are named, with their roles. An interrupted restore is repeated with the same command: a SQLite
    file stays as it was until the new one is complete, and a restore into Azure Tables continues where it ended.

    \b
    Examples:
      backup restore scheduler.jsonl.gz
      backup restore scheduler.jsonl.gz --store azure:restored
    """
    from scheduler.app.backups.opening import describe_store, open_restore_target
    from scheduler.backup.restoring import restore_dump
    from scheduler.cli.commands.backup.progress_bar import ProgressBar

    settings = load_store_settings(store)
    with ProgressBar() as bar:

        async def work() -> RestoreResult:
            now = datetime.now(UTC)
            async with open_restore_target(settings, now) as target:
                return await restore_dump(file, target, now, replace=replace, progress=bar)

        rows, former, skipped, keys = run_to_end(work)
    for table in skipped:
        print_warning(f"rows of table {table} are not restored: this program does not know it")
    print_note(f"restored {rows} rows into {describe_store(settings)} in {bar.elapsed}, and compared all of them")
    if former:
        print_note(former)
    _report_keys(keys)


def _report_keys(keys: Sequence[ApiKey]) -> None:
    """Name the API keys that the backup made valid: a file from elsewhere can contain one more."""
    from jobs.formats.counts import format_count
    from jobs.formats.instants import format_iso_instant
    from jobs.problems import make_printable
    from scheduler.identity.principal import format_tag_limits

    if not keys:
        return
    print_warning(f"the API accepts {format_count(len(keys), 'key')} of the backup; `keys revoke NAME` ends a key:")
    for key in sorted(keys, key=lambda key: (key.role != "admin", key.name))[:_MOST_LISTED_KEYS]:
        limits = f", limited to {', '.join(format_tag_limits(key.tags))}" if key.tags else ""
        until = f", until {format_iso_instant(key.expires_at)}" if key.expires_at else ""
        print_note(make_printable(f"  {key.name} ({key.role}{limits}{until})", 300))
    if len(keys) > _MOST_LISTED_KEYS:
        print_note(f"  and {len(keys) - _MOST_LISTED_KEYS} more: `keys list` has all of them")


def _is_known(table: str) -> bool:
    from scheduler.backup.stored_tables import STORED_TABLES

    return table in STORED_TABLES


def _report(path: Path, header: DumpHeader, trailer: DumpTrailer, done: str, as_json: bool) -> None:
    if as_json:
        import json

        fields = {"file": str(path), "bytes": path.stat().st_size, **header.to_fields(), **trailer.to_fields()}
        del fields["kind"], fields["end"]
        show_json(json.dumps(fields, indent=2, ensure_ascii=False))
        return
    for table, digest in trailer.tables.items():
        print(f"{table}\t{digest.rows}")
    when = header.to_fields()["started_at"]
    what = f"of {when}" if header.is_snapshot else f"read from {when} to {trailer.to_fields()['ended_at']}"
    size = path.stat().st_size
    shown = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    print_note(f"{path}: {trailer.rows} rows {what}, schema {header.schema}, {shown}, {done}")
