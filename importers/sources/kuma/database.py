"""Reads the tables of the SQLite database of Uptime Kuma without changing or locking it.

Neither the file nor its folder is written: a database with a write-ahead log or a journal is copied to a temporary
folder first, together with it, so that what Uptime Kuma wrote last is read, too. Whatever the file contains, only
UnreadableSource is raised: time, memory and the number of rows are bounded.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from importers.source_tree import UnreadableSource

MAGIC = b"SQLite format 3\0"
MAX_ROWS = 20_000
"""Rows of one table of definitions. Uptime Kuma itself is slow with a thousand monitors."""
_MAX_BYTES_OF_VALUE = 1024 * 1024
_MAX_BYTES_OF_COPY = 4 * 1024**3
_READ_SECONDS = 30.0
"""For all queries: a hostile file can contain what takes hours to read."""
_STEPS_BETWEEN_CHECKS = 100_000
_COPIES = 3
_IN_USE = 'stop Uptime Kuma, or make a copy: sqlite3 kuma.db ".backup copy.db"'

Row = dict[str, Any]


class KumaDatabase:
    """An open database. `shown`: its name in reports. `tables`: the columns of each table."""

    def __init__(self, shown: str, connection: sqlite3.Connection) -> None:
        self.shown = shown
        self._connection = connection
        self.tables: dict[str, list[str]] = {}
        for name in self._names_of_tables():
            self.tables[name] = [str(row[1]) for row in self._query(f"pragma table_info({_quote(name)})")]

    def rows(self, table: str) -> list[Row]:
        """Return all rows of a table; none if it does not exist. Raises UnreadableSource."""
        columns = self.tables.get(table)
        if not columns:
            return []
        order = " order by id" if "id" in columns else ""
        rows = self._query(f"select * from {_quote(table)}{order} limit {MAX_ROWS + 1}")
        if len(rows) > MAX_ROWS:
            raise UnreadableSource(self.shown, f"has more than {MAX_ROWS} rows in the table {table}")
        return [dict(zip(columns, map(_readable, row), strict=True)) for row in rows]

    def count(self, table: str) -> int:
        """Return the number of rows of a table."""
        return int(self._query(f"select count(*) from {_quote(table)}")[0][0])

    def _names_of_tables(self) -> list[str]:
        query = (
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name limit 500"
        )
        return [str(name) for (name,) in self._query(query)]

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql).fetchall()
        except (sqlite3.Error, OverflowError, MemoryError) as error:
            raise UnreadableSource(self.shown, f"cannot be read: {_explain(error)}") from None


def _quote(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _readable(value: Any) -> Any:
    return f"({len(value)} bytes)" if isinstance(value, bytes) else value


def _explain(error: BaseException) -> str:
    text = str(error)
    if "interrupted" in text:
        return f"its tables take longer than {_READ_SECONDS:.0f} s"
    if "malformed" in text:
        return f"the database is damaged ({text})"
    if "not a database" in text:
        return "it is not an SQLite database, or it is encrypted"
    return text or type(error).__name__


@contextmanager
def open_database(path: Path, shown: str, monotonic: Callable[[], float] = time.monotonic) -> Iterator[KumaDatabase]:
    """Open the database. Raises UnreadableSource."""
    if _head(path, shown) != MAGIC:
        raise UnreadableSource(shown, "is not an SQLite database", "name the file kuma.db of Uptime Kuma")
    with tempfile.TemporaryDirectory(prefix="import-") as folder:
        before = _state(path)
        uri = _read_in_place(path) if not _logs(path) else _copy(path, shown, Path(folder))
        with closing(_connect(uri, shown, monotonic)) as connection:
            yield KumaDatabase(shown, connection)
        if _state(path) != before:
            raise UnreadableSource(shown, "was changed while it was read", _IN_USE)


def _head(path: Path, shown: str) -> bytes:
    try:
        if not path.is_file():
            raise UnreadableSource(shown, "is not a file" if path.exists() else "does not exist")
        with path.open("rb") as file:
            return file.read(len(MAGIC))
    except OSError as error:
        raise UnreadableSource(shown, f"cannot be read: {(error.strerror or str(error)).lower()}") from None


def _logs(path: Path) -> list[Path]:
    """Return the write-ahead log and the journal next to a database, as far as they have content."""
    candidates = [path.with_name(path.name + ending) for ending in ("-wal", "-journal")]
    return [log for log in candidates if log.is_file() and log.stat().st_size > 0]


def _state(path: Path) -> list[tuple[str, int, int]]:
    found = [file for file in (path, *_logs(path)) if file.exists()]
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in found]


def _read_in_place(path: Path) -> str:
    # immutable: there is neither a lock nor a new file, not even in WAL mode.
    return f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"


def _copy(path: Path, shown: str, folder: Path) -> str:
    """Copy the database with its logs, at one state of all of them."""
    if sum(file.stat().st_size for file in (path, *_logs(path))) > _MAX_BYTES_OF_COPY:
        raise UnreadableSource(shown, "is too large to be copied with its write-ahead log", _IN_USE)
    for _ in range(_COPIES):
        before = _state(path)
        try:
            for file in (path, *_logs(path)):
                shutil.copyfile(file, folder / file.name)
        except OSError as error:
            raise UnreadableSource(shown, f"cannot be copied: {(error.strerror or str(error)).lower()}") from None
        if _state(path) == before:
            return f"file:{quote(str(folder / path.name))}?mode=rw"
    raise UnreadableSource(shown, "is being written", _IN_USE)


def _connect(uri: str, shown: str, monotonic: Callable[[], float]) -> sqlite3.Connection:
    deadline = monotonic() + _READ_SECONDS
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise UnreadableSource(shown, f"cannot be opened: {_explain(error)}") from None
    connection.text_factory = lambda text: text.decode(errors="replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_BYTES_OF_VALUE)
    connection.set_progress_handler(lambda: int(monotonic() > deadline), _STEPS_BETWEEN_CHECKS)
    # The file can contain views and generated columns: they must not call functions with side effects.
    connection.execute("pragma trusted_schema = off")
    return connection


_DASHBOARD = "the dashboard, or the page of metrics"
_KEYS = "API keys and roles of the settings, or Microsoft Entra ID"


class TableReason(NamedTuple):
    """Why a table is not carried over, and what is nearest."""

    why: str
    nearest: str = ""


DEFINITION_TABLES = (
    "monitor",
    "monitor_tag",
    "tag",
    "notification",
    "monitor_notification",
    "proxy",
    "docker_host",
    "remote_browser",
    "maintenance",
    "monitor_maintenance",
)
"""Tables whose rows become parts of jobs. The table `setting` is read separately."""

REFUSED_TABLES: Mapping[str, TableReason] = {
    "status_page": TableReason("there are no public status pages", _DASHBOARD),
    "status_page_cname": TableReason("there are no public status pages", _DASHBOARD),
    "group": TableReason("a group of a status page; there are no public ones", _DASHBOARD),
    "monitor_group": TableReason("a group of a status page; there are no public ones", _DASHBOARD),
    "maintenance_status_page": TableReason("there are no public status pages", _DASHBOARD),
    "incident": TableReason("an announcement of a status page; there are no public ones", _DASHBOARD),
    "user": TableReason("accounts are not imported", _KEYS),
    "api_key": TableReason("keys are stored as hashes, and cannot be imported", _KEYS),
}
"""Tables whose rows are reported one by one."""

RESULT_TABLES: Mapping[str, TableReason] = {
    "heartbeat": TableReason("history of checks: history begins with the first run"),
    "stat_minutely": TableReason("statistics of checks: they begin with the first run"),
    "stat_hourly": TableReason("statistics of checks: they begin with the first run"),
    "stat_daily": TableReason("statistics of checks: they begin with the first run"),
    "monitor_tls_info": TableReason("certificates of targets: the first run records them"),
    "notification_sent_history": TableReason("notifications that were sent"),
    "domain_expiry": TableReason("registrations of domains are not checked", "a calendar, or the registrar's own mail"),
    "knex_migrations": TableReason("the schema of the database"),
    "knex_migrations_lock": TableReason("the schema of the database"),
}
"""Tables that are reported by the number of their rows."""

SETTING_REASONS: Mapping[str, TableReason] = {
    "keepDataPeriodDays": TableReason("retention is a setting of the program", "history.age in the settings"),
    "primaryBaseURL": TableReason("the address is a setting of the program", "public_url in the settings"),
    "steamAPIKey": TableReason("there is no client of game servers"),
    "disableAuth": TableReason("authentication is a setting of the program", _KEYS),
    "trustProxy": TableReason("trusted proxies are a setting of the program", "docs/settings.md"),
}
OTHER_SETTING = TableReason("a setting of the program itself", "docs/settings.md")
UNKNOWN_TABLE = TableReason("the importer does not know this table")
