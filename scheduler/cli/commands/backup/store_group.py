"""`store`: move the store to another one, upgrade its schema, check it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from scheduler.cli.commands.backup.group import ReplaceOption
from scheduler.cli.commands.backup.store_option import STORE_FORMS, load_store_settings, run_to_end
from scheduler.cli.output import fail, print_note

ABOUT = """The store as a whole: move it to another one.

\b
Examples:
  store move --from sqlite:///data/scheduler.db --to azure"""

store = typer.Typer(help=ABOUT, no_args_is_help=True)


@store.callback()
def _group() -> None:
    """Without it, typer would make a single subcommand the command itself."""


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
    from scheduler.app.backups.opening import describe_store, hold_file, open_restore_target, open_store_scan
    from scheduler.backup.restoring import copy_store
    from scheduler.cli.commands.backup.progress_bar import ProgressBar

    old, new = load_store_settings(source, "--from"), load_store_settings(destination, "--to")
    if (old.store, old.storage.prefix) == (new.store, new.storage.prefix):
        fail("--from and --to are the same store")
    now = datetime.now(UTC)
    with ProgressBar() as bar:

        async def work() -> tuple[int, str]:
            with hold_file(old):
                async with open_store_scan(old) as scan, open_restore_target(new, now) as target:
                    return await copy_store(scan, target, now, replace=replace, progress=bar)

        rows, former = run_to_end(work)
    print_note(
        f"copied {rows} rows from {describe_store(old)} to {describe_store(new)} in {bar.elapsed}, and compared all "
        "of them"
    )
    if former:
        print_note(former)
