"""`backup`: make a backup of a store, verify it, restore it. Rows that are read or written show as a bar."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

import typer

from jobs.formats import describe_span
from scheduler.cli.output import EXIT_FAILED, fail, print_note, print_warning, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from config.settings.model import Settings
    from scheduler.features.backup.dump_file import DumpHeader, DumpTrailer
    from scheduler.features.backup.restoring import RestoreResult
    from scheduler.identity.api_keys import ApiKey

T = TypeVar("T")

STORE_FORMS = "sqlite:///FILE, azure, or azure:PREFIX for other tables of the same account"
StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="STORE", help=f"Default: SCHEDULER_STORE. Forms: {STORE_FORMS}.")
]
_PREFIX = re.compile(r"[a-zA-Z][a-zA-Z0-9]{2,30}")


def load_store_settings(store: str | None, option: str = "--store") -> Settings:
    """Return the settings with this store. An invalid one ends the command with 2."""
    from config.errors import ConfigurationError, format_problems
    from config.loading import load_usable_settings
    from config.settings.fields import check_store
    from scheduler.cli.context import ROOT

    try:
        settings = load_usable_settings(os.environ, root=ROOT)[0].settings
    except ConfigurationError as wrong:
        fail(format_problems(wrong.problems))
    if store is None:
        return settings
    kind, has_prefix, prefix = store.partition(":")
    if kind == "azure" and has_prefix:
        if not _PREFIX.fullmatch(prefix):
            fail(f"{option}: expected a prefix of 3 to 31 letters and digits that begins with a letter, got {prefix!r}")
        storage = settings.storage.model_copy(update={"prefix": prefix})
        return settings.model_copy(update={"store": "azure", "storage": storage})
    try:
        return settings.model_copy(update={"store": check_store(store)})
    except ValueError:
        fail(f"{option}: {store!r} is not a store: write {STORE_FORMS}")


def run_to_end(work: Callable[[], Awaitable[T]]) -> T:
    """Run it, cancelled by a signal. An error of stores and backups ends the command with 1."""
    import asyncio

    from scheduler.cli.context import cancel_on_signals
    from scheduler.features.backup.port import BackupError
    from scheduler.stores.port import StoreError

    async def whole() -> T:
        cancel_on_signals()
        return await work()

    try:
        return asyncio.run(whole())
    except (StoreError, BackupError, ValueError) as error:
        fail(str(error), EXIT_FAILED)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


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
_MAX_LISTED_KEYS = 100
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
    from scheduler.app.backup_opening import open_store_scan
    from scheduler.features.backup.dumps import create_backup

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
    from scheduler.features.backup.dumps import verify_dump

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
    from scheduler.app.backup_opening import describe_store, open_restore_target
    from scheduler.features.backup.restoring import restore_dump

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
    from jobs.formats import format_count, format_iso_instant
    from jobs.problems import make_printable
    from scheduler.identity.principal import format_tag_limits

    if not keys:
        return
    print_warning(f"the API accepts {format_count(len(keys), 'key')} of the backup; `keys revoke NAME` ends a key:")
    for key in sorted(keys, key=lambda key: (key.role != "admin", key.name))[:_MAX_LISTED_KEYS]:
        limits = f", limited to {', '.join(format_tag_limits(key.tags))}" if key.tags else ""
        until = f", until {format_iso_instant(key.expires_at)}" if key.expires_at else ""
        print_note(make_printable(f"  {key.name} ({key.role}{limits}{until})", 300))
    if len(keys) > _MAX_LISTED_KEYS:
        print_note(f"  and {len(keys) - _MAX_LISTED_KEYS} more: `keys list` has all of them")


def _is_known(table: str) -> bool:
    from scheduler.features.backup.tables import STORED_TABLES

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


class ProgressBar:
    """A context. Implements scheduler.features.backup.port.RowProgress."""

    def __init__(self) -> None:
        self._bars: Progress | None = _build_bars() if sys.stderr.isatty() else None
        self._task: TaskID | None = None
        self._began_at = time.monotonic()

    @property
    def elapsed(self) -> str:
        """The time since the begin."""
        return describe_span(time.monotonic() - self._began_at)

    def begin(self, phase: str, total: int | None) -> None:
        if self._bars is not None:
            self._finish_phase()
            self._task = self._bars.add_task(phase, total=total)

    def advance(self, rows: int) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, rows)

    def _finish_phase(self) -> None:
        """Without a known total, the rows that came are all."""
        if self._bars is not None and self._task is not None:
            task = self._bars.tasks[self._task]
            self._bars.update(self._task, total=task.completed or 1, completed=task.completed or 1)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars is not None:
            if error is None:
                self._finish_phase()
            self._bars.stop()


def _build_bars() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
    )
