"""`backup`: make a backup of a store, verify it, restore it. Rows that are read or written show as a bar."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from scheduler.cli.output import EXIT_FAILED, escape_controls, fail, print_note, print_warning, show_json
from scheduler.features.backup.heartbeat import reporting_to
from scheduler.features.backup.locations import CONTAINER_FORMS, ContainerLocation, parse_location
from scheduler.features.backup.progress_text import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.settings.model import Settings
    from scheduler.features.backup.containers import StoredBackup
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
In a blob container a backup is never replaced, and none is deleted: the lifecycle of the container does that.

\b
Examples:
  backup create
  backup verify scheduler-20261128T220000Z.jsonl.gz
  backup restore scheduler-20261128T220000Z.jsonl.gz --store sqlite:///data/scheduler.db"""

backup = typer.Typer(help=ABOUT, no_args_is_help=True)

FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="File of a backup, or azure://CONTAINER/FOLDER/NAME.")
]
ReplaceOption = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="Replace the rows of the store: a SQLite file is renamed, rows of Azure Tables are deleted.",
    ),
]
_MAX_LISTED_KEYS = 100
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="PLACE",
        help="A file, compressed if its name ends with .gz; or azure://CONTAINER[/FOLDER], or the same as "
        "https://ACCOUNT.blob.core.windows.net/... Default: scheduler-TIME.jsonl.gz in this folder.",
    ),
]


PingOption = Annotated[
    str | None,
    typer.Option(
        "--ping",
        metavar="URL",
        envvar="BACKUP_PING",
        help="Report the exit code to a heartbeat at this address, URL/CODE; with BACKUP_PING_TOKEN: URL/TOKEN/CODE.",
    ),
]


@backup.command("create")
def create(
    to: ToOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    ping: PingOption = None,
) -> None:
    """Make a backup, also while the scheduler runs.

    SQLite: all rows are of one instant. Azure Tables: each row is as it was when it was read.

    \b
    Examples:
      backup create
      backup create --to /backups/scheduler.jsonl.gz
      backup create --to azure://backups/prod
    """
    with reporting_to(ping, print_warning):
        _create(to, store, as_json)


def _create(to: str | None, store: str | None, as_json: bool) -> None:
    from scheduler.app.backup_opening import open_container, open_store_scan
    from scheduler.features.backup.dumps import create_backup

    location = _parse_location(to or "", "--to")
    settings = load_store_settings(store)
    name = f"scheduler-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl.gz"
    kind = "azure" if settings.uses_azure_storage else "sqlite"
    with ProgressBar() as bar, nullcontext() if location is None else _scratch_folder() as folder:
        path = Path(to or name) if folder is None else folder / name

        async def work() -> tuple[DumpHeader, DumpTrailer]:
            async with AsyncExitStack() as stack:
                if location is not None:
                    container = await stack.enter_async_context(open_container(settings, location))
                    await container.list_backups()  # a wrong name or role is found before all rows are read
                async with open_store_scan(settings) as scan:
                    made = await create_backup(scan, path, kind, lambda: datetime.now(UTC), bar)
                if location is not None:
                    await container.upload(path, name)
                return made

        header, trailer = run_to_end(work)
        size = path.stat().st_size
    for table, why in header.omitted.items():
        if not _is_known(table):
            print_warning(f"table {table} is not in the backup: {why}")
    shown = str(path) if location is None else location.join(location.folder + name)
    done = f"written in {bar.elapsed}" if location is None else f"written and read back in {bar.elapsed}"
    _report((shown, size), header, trailer, done, as_json)


@backup.command("list")
def list_backups(
    place: Annotated[str, typer.Argument(metavar="CONTAINER", help=f"{CONTAINER_FORMS}.")],
    max_age: Annotated[
        str | None,
        typer.Option("--max-age", metavar="DURATION", help="Exit with 1 if none is newer, such as 26h."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the backups of a container, newest first.

    \b
    Examples:
      backup list azure://backups/prod
      backup list azure://backups/prod --max-age 26h
    """
    from scheduler.app.backup_opening import open_container
    from scheduler.cli.times import parse_duration_option

    location = _parse_location(place, "CONTAINER")
    if location is None:
        fail(f"expected {CONTAINER_FORMS}, got {place!r}")
    limit = parse_duration_option("--max-age", max_age)
    settings = load_store_settings(None)

    async def work() -> Sequence[StoredBackup]:
        async with open_container(settings, location) as container:
            return await container.list_backups()

    found = run_to_end(work)
    _show_backups(found, as_json)
    newest = max((backup.made_at for backup in found), default=None)
    if limit is not None and (newest is None or (datetime.now(UTC) - newest).total_seconds() > limit):
        fail(f"{location.shown} has no backup that is newer than {max_age}", EXIT_FAILED)


def _show_backups(found: Sequence[StoredBackup], as_json: bool) -> None:
    import json

    from jobs.formats import format_iso_instant

    if as_json:
        rows = [
            {"backup": each.location, "made_at": format_iso_instant(each.made_at), "bytes": each.size} for each in found
        ]
        show_json(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for each in found:
        print(f"{escape_controls(each.location)}\t{format_iso_instant(each.made_at)}\t{each.size}")


def _parse_location(text: str, option: str) -> ContainerLocation | None:
    """Return the location in a container, None for a file. A wrong one ends the command with 2."""
    try:
        return parse_location(text)
    except ValueError as error:
        fail(f"{option}: {error}")


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Yield a folder for a backup on its way to or from a container. It is readable for its owner alone."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(TemporaryDirectory(prefix="scheduler-backup-"))
        except OSError as error:
            fail(f"no folder for the backup on its way: {error.strerror}; set TMPDIR to one", EXIT_FAILED)
        yield Path(folder)


@contextmanager
def _local_file(file: str) -> Iterator[Path]:
    """Yield the path of the backup, a copy if it is in a container. A wrong one ends the command."""
    from scheduler.app.backup_opening import open_container

    location = _parse_location(file, "FILE")
    if location is None:
        if not Path(file).exists() or Path(file).is_dir():
            fail(f"FILE: file {file!r} does not exist")
        yield Path(file)
        return
    settings = load_store_settings(None)
    with _scratch_folder() as folder:
        path = folder / (location.name or "backup")

        async def work() -> None:
            async with open_container(settings, location) as container:
                await container.download(path)

        run_to_end(work)
        yield path


@backup.command("verify")
def verify(file: FileArgument, as_json: JsonOption = False) -> None:
    """Verify that a file is complete and undamaged, line by line. Nothing is changed.

    Exit code 0: it can be restored, 1: it cannot; the message names the line.

    \b
    Examples:
      backup verify scheduler-20261128T220000Z.jsonl.gz
    """
    from scheduler.features.backup.dumps import verify_dump

    with ProgressBar() as bar, _local_file(file) as path:
        header, trailer = run_to_end(lambda: verify_dump(path, bar))
        size = path.stat().st_size
    _report((file, size), header, trailer, f"verified in {bar.elapsed}", as_json)


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
      backup restore azure://backups/prod/scheduler-20261128T220000Z.jsonl.gz --store azure:restored
    """
    from scheduler.app.backup_opening import describe_store, open_restore_target
    from scheduler.features.backup.restoring import restore_dump

    settings = load_store_settings(store)
    with ProgressBar() as bar, _local_file(file) as path:

        async def work() -> RestoreResult:
            now = datetime.now(UTC)
            async with open_restore_target(settings, now) as target:
                return await restore_dump(path, target, now, replace=replace, progress=bar)

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


def _report(file: tuple[str, int], header: DumpHeader, trailer: DumpTrailer, done: str, as_json: bool) -> None:
    """`file`: its name and its bytes."""
    name, size = file
    if as_json:
        import json

        fields = {"file": name, "bytes": size, **header.to_fields(), **trailer.to_fields()}
        del fields["kind"], fields["end"]
        show_json(json.dumps(fields, indent=2, ensure_ascii=False))
        return
    for table, digest in trailer.tables.items():
        print(f"{table}\t{digest.rows}")
    when = header.to_fields()["started_at"]
    what = f"of {when}" if header.is_snapshot else f"read from {when} to {trailer.to_fields()['ended_at']}"
    shown = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    print_note(f"{name}: {trailer.rows} rows {what}, schema {header.schema}, {shown}, {done}")
