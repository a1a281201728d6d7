"""Which store a command means. Used by the commands of scheduler.cli.commands.backup."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from scheduler.cli.output import EXIT_FAILED, fail

if TYPE_CHECKING:
    from config.settings.model import Settings

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

    from scheduler.backup.errors import BackupError
    from scheduler.cli.context import cancel_on_signals
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
