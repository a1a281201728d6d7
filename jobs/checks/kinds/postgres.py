"""The check of a PostgreSQL server, by pg8000."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from jobs.checks.database_answers import CLOSED, FULL, NO_TLS, REFUSED, SLOW, Explanation, explain_code, name_columns
from jobs.checks.databases import BoundedSocket, Credentials, DatabaseCheck, ServerState
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.errors import NoResponse
from jobs.checks.port import Check
from jobs.runs import ErrorClass
from jobs.targets.databases import PostgresTarget

_STATE = (
    "SELECT current_setting('server_version'), pg_is_in_recovery(), CASE "
    "WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0 "
    "ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END"
)
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_ERRORS = {
    "28000": REFUSED,
    "28P01": REFUSED,
    "53300": FULL,
    "57P01": (ErrorClass.CONNECTION_RESET, "ended the connection: {text}"),
    "57P02": (ErrorClass.CONNECTION_RESET, "ended the connection: {text}"),
    "57P03": (ErrorClass.CONNECTION_FAILED, "does not accept connections now: {text}"),
    "57014": SLOW,
}
_POOLER_CODE = "08P01"
_CODES_OF_POOLER = {"authentication failed": "28P01", "no more connections": "53300"}
"""By a part of its text: PgBouncer, which Azure offers with a server, has one code for all errors."""


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> Check:
    """Build the check. Called by jobs.checks."""
    return DatabaseCheck(dependencies, PostgresDriver)


class PostgresDriver:
    """Speaks to PostgreSQL. Statements run in a transaction that only reads, so that a pooler needs no session."""

    PROTOCOL_NAME = "the protocol of PostgreSQL"

    def __init__(self) -> None:
        self._library = import_module("pg8000.native")

    def sign_in(
        self,
        sock: BoundedSocket,
        tls: ssl.SSLContext | None,
        target: PostgresTarget,
        login: Credentials,
        state: ServerState,
    ) -> Any:
        try:
            connection = self._library.Connection(
                login.user,
                host=(target.server_name or target.host).rstrip("."),
                database=target.database or "postgres",
                password=login.password,
                ssl_context=False if tls is None else tls,
                application_name="scheduler",
                sock=sock,
            )
        except self._library.InterfaceError:
            if sock.received:
                raise
            raise NoResponse from None  # the library takes it for a refusal of TLS
        state.note_tls(connection._usock)
        return connection

    def read_state(self, connection: Any, target: PostgresTarget, state: ServerState) -> None:
        connection.run("BEGIN READ ONLY")
        connection.run(f"SET LOCAL statement_timeout = {int(target.statement_timeout * 1000)}")
        ((version, is_replica, lag),) = connection.run(_STATE)
        state.version, state.role = str(version).partition(" ")[0], "replica" if is_replica else "primary"
        state.lag_s = None if lag is None else max(float(lag), 0.0)

    def read_rows(self, connection: Any, target: PostgresTarget) -> Sequence[Mapping[str, Any]] | None:
        rows = None
        if target.statement is not None:
            # The extended protocol takes one statement only.
            found = connection.execute_unnamed(target.statement)
            columns = [each["name"] for each in found.columns or ()]
            rows = name_columns(columns, found.rows or (), target.max_rows)
        connection.run("ROLLBACK")
        return rows

    def explain(self, error: Exception, target: PostgresTarget) -> Explanation | None:
        if isinstance(error, self._library.InterfaceError):
            return NO_TLS if "refuses SSL" in str(error) else CLOSED
        if not isinstance(error, self._library.DatabaseError):
            return None
        answer = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        code, text = answer.get("C", ""), answer.get("M", "an error without a text")
        if code == _POOLER_CODE:
            code = next((known for part, known in _CODES_OF_POOLER.items() if part in text), code)
        return explain_code(_ERRORS, code, text, target)
