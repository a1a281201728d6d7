"""Upgrades the SQLite file: checks the space, copies the file before a contraction, reports progress and time.

Called by scheduler.stores.sqlite.connections, when a scheduler or the command `store upgrade` opens the file. An
expansion needs no copy: older programs use the file as before.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from jobs.formats.durations import describe_span
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.sqlite.schema import MIGRATIONS, Migration, find_pending, migrate, read_marks

_log = logging.getLogger("scheduler.stores")

REPORT_INTERVAL = 5.0
"""Seconds between two reports of an upgrade."""
_COPIED_PAGES = 4096
_STEPS_BETWEEN_CHECKS = 200_000
"""Instructions of SQLite's virtual machine between two reads of the clock."""

UpgradeReport = Callable[[str], None]


def log_upgrade(text: str) -> None:
    """Report to the log."""
    _log.info("%s", text)


def upgrade(
    path: Path,
    connection: sqlite3.Connection,
    report: UpgradeReport = log_upgrade,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Upgrade the file to the latest schema, completely or not at all.

    Raises:
        StoreUnavailable: a newer program has contracted the file, or the disk is too full.
    """
    marks = read_marks(connection)
    pending = find_pending(marks, migrations)
    if not marks.expanded or not pending:
        migrate(connection, migrations)
        return
    began_at = time.monotonic()
    if any(migration.is_contraction for migration in pending):
        _require_space(path, pending)
        copy = _copy_file(path, connection, marks.expanded, report)
        report(f"store {path}: the file of schema {marks.expanded} is copied to {copy}")
    if marks.expanded < len(migrations):
        report(f"store {path}: upgrading from schema {marks.expanded} to {len(migrations)}")
    else:
        report(f"store {path}: an older version has written to it; adding what its rows lack")
    last_report = began_at

    def check_clock() -> int:
        nonlocal last_report
        now = time.monotonic()
        if now - last_report >= REPORT_INTERVAL:
            last_report = now
            report(f"store {path}: upgrading, {describe_span(now - began_at)} so far")
        return 0

    connection.set_progress_handler(check_clock, _STEPS_BETWEEN_CHECKS)
    try:
        migrate(connection, migrations)
    finally:
        connection.set_progress_handler(None, 0)
    report(f"store {path}: upgraded to schema {len(migrations)} in {describe_span(time.monotonic() - began_at)}")


def _require_space(path: Path, pending: Sequence[Migration]) -> None:
    size = path.stat().st_size
    needed = size * (1 + max(migration.space for migration in pending))
    free = shutil.disk_usage(path.absolute().parent).free
    if free < needed:
        raise StoreUnavailable(
            f"store {path}: the upgrade needs {needed / 1e6:.0f} MB of disk space, {free / 1e6:.0f} MB are free: "
            "free some, or run the former version, which still uses the file"
        )


def _copy_file(path: Path, connection: sqlite3.Connection, schema: int, report: UpgradeReport) -> Path:
    """Copy the file with what its WAL holds. Return the copy."""
    copy = path.with_name(f"{path.name}.schema-{schema}")
    partial = copy.with_name(f"{copy.name}.partial")
    with suppress(FileNotFoundError):
        partial.unlink()
    last_report = time.monotonic()

    def show(status: int, remaining: int, total: int) -> None:
        nonlocal last_report
        if time.monotonic() - last_report >= REPORT_INTERVAL:
            last_report = time.monotonic()
            report(f"store {path}: copied {100 * (total - remaining) // max(total, 1)} %")

    with closing(sqlite3.connect(partial)) as target:
        connection.backup(target, pages=_COPIED_PAGES, progress=show)
    os.replace(partial, copy)
    return copy
