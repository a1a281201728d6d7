"""The check of SQL Server and Azure SQL, by python-tds.

TDS 7 exchanges the TLS handshake in its packets, and the library does that with pyOpenSSL, without the rules of
our contexts for authorities and names: its function is replaced by one on the standard library. A gateway of Azure SQL
may redirect to the node of the database: only to a host of the same domain, through the guard, and once.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from jobs.checks.database_answers import CLOSED, FULL, NO_TLS, REFUSED, Explanation, explain_code, name_columns
from jobs.checks.databases import Credentials, DatabaseCheck, Redirected, ServerState
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import Check
from jobs.runs import ErrorClass
from jobs.targets.databases import SqlServerTarget

_STATE = (
    "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(40)), "
    "CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(20))"
)
_BUSY: Explanation = (ErrorClass.CONNECTION_FAILED, "is busy: {text}")
# https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
_ERRORS = {
    **dict.fromkeys((18452, 18456, 18470, 18486, 18487, 18488, 40615, 40914, 47073), REFUSED),
    **dict.fromkeys((10928, 10929, 17809, 17828, 40544), FULL),
    40613: (ErrorClass.PAUSED, "has no database at present, it is paused or moves: {text}"),
    **dict.fromkeys((1204, 1205, 40143, 40166, 40197, 40501, 40540, 49918, 49919, 49920), _BUSY),
}
_HANDSHAKE_READ, _PRELOGIN = 4096, 18


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> Check:
    """Build the check. Called by jobs.checks."""
    return DatabaseCheck(dependencies, SqlServerDriver)


class SqlServerDriver:
    """Speaks TDS 7.4. A statement runs in a transaction that is rolled back."""

    PROTOCOL_NAME = "the protocol of SQL Server"

    def __init__(self) -> None:
        self._library = import_module("pytds")
        vars(import_module("pytds.tls"))["establish_channel"] = _establish_channel

    def sign_in(
        self,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
        target: SqlServerTarget,
        login: Credentials,
        state: ServerState,
    ) -> Any:
        host, base = state.redirected_to or target.host, self._library.tds_base
        given = base._TdsLogin()
        given.server_name, given.app_name, given.library = host, "scheduler", "scheduler"
        given.database, given.pid, given.bytes_to_unicode = target.database, os.getpid(), True
        given.option_flag2 = base.TDS_ODBC_ON
        given.readonly = target.role == "replica"
        if target.entra:
            given.access_token = login.password
        else:
            given.user_name, given.password = login.user, login.password
        enc = self._library.tds_base.PreLoginEnc
        given.enc_flag = enc.ENCRYPT_NOT_SUP if tls is None else enc.ENCRYPT_ON
        name = (target.server_name if state.redirected_to is None else None) or host
        given.tls_ctx = None if tls is None else _Channel(tls, name.rstrip("."), state)
        connected = self._library.tds_socket._TdsSocket(sock=sock, login=given, autocommit=True)
        route = connected.login()
        if route is not None:
            raise Redirected(str(route["server"]), int(route["port"]))
        sock.settimeout(target.statement_timeout)
        return self._library.connection.NonMarsConnection(pooling=False, key=(), tds_socket=connected)

    def read_state(self, connection: Any, target: SqlServerTarget, state: ServerState) -> None:
        cursor = connection.cursor()
        cursor.execute(_STATE)
        ((version, updateability),) = cursor.fetchall()
        state.version = str(version or "")[:40]
        state.role = {"READ_WRITE": "primary", "READ_ONLY": "replica"}.get(str(updateability), "")

    def read_rows(self, connection: Any, target: SqlServerTarget) -> Sequence[Mapping[str, Any]] | None:
        if target.statement is None:
            return None
        cursor = connection.cursor()
        cursor.execute(f"SET XACT_ABORT ON SET LOCK_TIMEOUT {int(target.statement_timeout * 1000)} BEGIN TRANSACTION")
        cursor.execute(target.statement)
        columns = [each[0] or f"column{number}" for number, each in enumerate(cursor.description or (), 1)]
        rows = name_columns(columns, cursor.fetchmany(target.max_rows + 1), target.max_rows)
        cursor.execute("ROLLBACK")
        return rows

    def explain(self, error: Exception, target: SqlServerTarget) -> Explanation | None:
        base = self._library.tds_base
        if isinstance(error, (TimeoutError, base.TimeoutError)):
            return ErrorClass.RESPONSE_TIMEOUT, f"did not answer within {target.statement_timeout:g} s"
        if isinstance(error, base.ClosedConnectionError):
            return CLOSED
        if isinstance(error, base.DatabaseError):
            return explain_code(_ERRORS, error.msg_no, error, target)
        if isinstance(error, base.Error) and "encryption" in str(error):
            return NO_TLS
        return None


class _Channel:
    """What a handshake needs: the context, and the name that the certificate must have."""

    def __init__(self, context: ssl.SSLContext, name: str, state: ServerState) -> None:
        self.incoming, self.outgoing, self.state = ssl.MemoryBIO(), ssl.MemoryBIO(), state
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)


def _establish_channel(session: Any) -> None:
    """Do the TLS handshake in pre-login packets. Called by the library."""
    channel, reader, writer = session.conn._login.tls_ctx, session._reader, session._writer
    if not isinstance(channel, _Channel):
        raise ssl.SSLError("the server requires TLS")
    while True:
        try:
            channel.tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.begin_packet(_PRELOGIN)
            writer.write(channel.outgoing.read())
            writer.flush()
            reader.begin_response()
            while not reader.stream_finished():
                channel.incoming.write(reader.recv(_HANDSHAKE_READ))
    channel.state.note_tls(channel.tls)
    encrypted = _TlsTransport(session.conn.sock, channel)
    session.conn.sock = reader._transport = writer._transport = encrypted


class _TlsTransport:
    """The socket behind the handshake, with the methods that the library calls."""

    def __init__(self, sock: socket.socket, channel: _Channel) -> None:
        self._sock = sock
        self._channel = channel

    def sendall(self, data: bytes, flags: int = 0) -> None:
        self._channel.tls.write(data)
        self._sock.sendall(self._channel.outgoing.read())

    def recv(self, size: int, flags: int = 0) -> bytes:
        while True:
            try:
                return self._channel.tls.read(size)
            except ssl.SSLWantReadError:
                received = self._sock.recv(_HANDSHAKE_READ)
                if not received:
                    return b""
                self._channel.incoming.write(received)

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        content = self.recv(size or len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def settimeout(self, seconds: float | None) -> None:
        self._sock.settimeout(seconds)

    def close(self) -> None:
        self._sock.close()
