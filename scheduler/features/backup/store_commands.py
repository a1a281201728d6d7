"""`store`: check the store, upgrade its schema, move it to another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import EXIT_FAILED, fail, print_note
from scheduler.features.backup.commands import STORE_FORMS, ReplaceOption, StoreOption, load_store_settings, run_to_end
from scheduler.features.backup.progress_text import ProgressBar

if TYPE_CHECKING:
    from scheduler.features.backup.restoring import RestoreResult
    from scheduler.stores.port import StoreScan

ABOUT = """The store as a whole: check it, upgrade it, move it to another one.

\b
Examples:
  store check
  store move --from sqlite:///data/scheduler.db --to azure"""

store = typer.Typer(help=ABOUT, no_args_is_help=True)


@store.command("check")
def check(store: StoreOption = None) -> None:
    """Show the schema and the rows of the store, and look for damage. Nothing is changed.

    Exit code 1: the store is damaged, or has only a part of a backup.

    \b
    Examples:
      store check
    """
    from scheduler.app.backup_opening import describe_store, open_store_scan

    settings = load_store_settings(store)

    async def work() -> StoreReport:
        async with open_store_scan(settings) as scan:
            return await report_store(scan)

    report = run_to_end(work)
    for table, count in report.rows.items():
        print(f"{table}\t{'?' if count is None else count}")
    print_note(f"{describe_store(settings)}: {report.schema_text}")
    if report.problem:
        fail(report.problem, EXIT_FAILED)


@store.command("upgrade")
def upgrade(store: StoreOption = None) -> None:
    """Upgrade the store now, not at the next start of the scheduler, which does the same. Stop the scheduler first.

    An older version can use the store afterwards, unless the release notes exclude it: then the file is copied first.

    \b
    Examples:
      store upgrade
    """
    from scheduler.app.backup_opening import describe_store, upgrade_store

    settings = load_store_settings(store)
    run_to_end(lambda: upgrade_store(settings, print_note))
    print_note(f"{describe_store(settings)}: up to date")


@store.command("move")
def move(
    source: Annotated[str, typer.Option("--from", metavar="STORE", help=f"The present store: {STORE_FORMS}.")],
    destination: Annotated[str, typer.Option("--to", metavar="STORE", help="The new store, in the same form.")],
    replace: ReplaceOption = False,
) -> None:
    """Copy everything to another store. Stop the scheduler first; the present store is not changed.

    Afterwards set SCHEDULER_STORE to the new store. All rows are read back and compared.

    \b
    Examples:
      store move --from sqlite:///data/scheduler.db --to azure
      store move --from azure --to sqlite:///data/scheduler.db
    """
    from scheduler.app.backup_opening import describe_store, hold_file, open_restore_target, open_store_scan
    from scheduler.features.backup.restoring import copy_store

    old, new = load_store_settings(source, "--from"), load_store_settings(destination, "--to")
    if (old.store, old.storage.prefix) == (new.store, new.storage.prefix):
        fail("--from and --to are the same store")
    now = datetime.now(UTC)
    with ProgressBar() as bar:

        async def work() -> RestoreResult:
            with hold_file(old):
                async with open_store_scan(old) as scan, open_restore_target(new, now) as target:
                    return await copy_store(scan, target, now, replace=replace, progress=bar)

        rows, former, *_ = run_to_end(work)
    print_note(
        f"copied {rows} rows from {describe_store(old)} to {describe_store(new)} in {bar.elapsed}, and compared all "
        "of them"
    )
    if former:
        print_note(former)


@dataclass(frozen=True, slots=True)
class StoreReport:
    """`rows` by table, None where only reading all of them would tell. `problem`: "" if nothing is wrong."""

    rows: Mapping[str, int | None]
    schema_text: str
    problem: str


async def report_store(scan: StoreScan) -> StoreReport:
    """Return what `store check` shows. Raises StoreError."""
    from scheduler.stores.rows import READER_SCHEMA, ROW_SCHEMA, find_unfinished_restore

    schema = await scan.read_schema()
    text = f"schema {schema}"
    if schema < ROW_SCHEMA:
        text += f", this program writes schema {ROW_SCHEMA}: the next start or `store upgrade` adds what is new"
    text += f"; programs that know schema {READER_SCHEMA} can use it"
    unfinished = await find_unfinished_restore(scan)
    damage = await scan.find_damage()
    problem = f"the file is damaged: {damage}" if damage else "" if unfinished is None else str(unfinished)
    return StoreReport(await scan.count_rows(), text, problem)
