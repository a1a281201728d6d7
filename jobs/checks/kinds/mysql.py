"""The check of a MySQL or MariaDB server, by PyMySQL."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from jobs.checks.database_answers import CLOSED, FULL, NO_TLS, REFUSED, SLOW, Explanation, explain_code, name_columns
from jobs.checks.databases import Credentials, DatabaseCheck, ServerState
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import Check
from jobs.targets.databases import MysqlTarget

# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and MariaDB's own from 1900 on
_ERRORS = {
    **dict.fromkeys((1044, 1045, 1129, 1130, 1251, 1698, 1820, 1862, 3118, 4151), REFUSED),
    **dict.fromkeys((1040, 1203, 1226), FULL),
    **dict.fromkeys((1969, 3024), SLOW),
    **dict.fromkeys((1053, 1927, 2006, 2013), CLOSED),
    2026: NO_TLS,
}


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> Check:
    """Build the check. Called by jobs.checks."""
    return DatabaseCheck(dependencies, MysqlDriver)


class MysqlDriver:
    """Speaks to MySQL and MariaDB. Statements run in a transaction that only reads."""

    PROTOCOL_NAME = "the protocol of MySQL"

    def __init__(self) -> None:
        self._library = import_module("pymysql")

    def sign_in(
        self,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
        target: MysqlTarget,
        login: Credentials,
        state: ServerState,
    ) -> Any:
        connection = self._library.Connection(
            host=(target.server_name or target.host).rstrip("."),
            user=login.user,
            password=login.password.encode(),  # the library writes a text as Latin-1
            database=target.database or None,
            ssl=tls,
            ssl_disabled=tls is None,
            read_default_file=None,
            program_name="scheduler",
            defer_connect=True,
            autocommit=True,
        )
        try:
            connection.connect(sock)
        except self._library.OperationalError as error:
            # It hides what the TLS handshake raises.
            original = getattr(error, "original_exception", None)
            if isinstance(original, Exception):
                raise original from None
            raise
        state.note_tls(connection._sock)
        return connection

    def read_state(self, connection: Any, target: MysqlTarget, state: ServerState) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT version(), @@global.read_only")
        version, is_read_only = cursor.fetchone()
        is_mariadb, limit = "mariadb" in str(version).lower(), target.statement_timeout
        state.version = str(version)[:60]
        variable = f"max_statement_time={limit:g}" if is_mariadb else f"max_execution_time={limit * 1000:.0f}"
        cursor.execute(f"SET {variable}")
        replica = self._read_replica(connection)
        state.role = "replica" if replica is not None or str(is_read_only) not in ("0", "OFF") else "primary"
        lag = next((value for name, value in (replica or {}).items() if name.startswith("Seconds_Behind_")), None)
        state.lag_s = None if lag is None else float(lag)

    def _read_replica(self, connection: Any) -> Mapping[str, Any] | None:
        """Return the state of the replication; None on a primary, and if the user must not read it."""
        cursor = connection.cursor(self._library.cursors.DictCursor)
        try:
            cursor.execute("SHOW REPLICA STATUS")
        except (self._library.OperationalError, self._library.ProgrammingError) as error:
            if error.args[0] in _ERRORS:
                raise
            return None
        row: Mapping[str, Any] | None = cursor.fetchone()
        return row

    def read_rows(self, connection: Any, target: MysqlTarget) -> Sequence[Mapping[str, Any]] | None:
        if target.statement is None:
            return None
        cursor = connection.cursor()
        cursor.execute("START TRANSACTION READ ONLY")
        cursor.execute(target.statement)
        rows = name_columns((each[0] for each in cursor.description or ()), cursor.fetchall(), target.max_rows)
        cursor.execute("ROLLBACK")
        return rows

    def explain(self, error: Exception, target: MysqlTarget) -> Explanation | None:
        if not isinstance(error, self._library.MySQLError):
            return None
        code, text = (*error.args, "", "")[:2]
        if not isinstance(code, int):
            return None  # the library's own, about bytes that it cannot read
        return explain_code(_ERRORS, code, text, target)
