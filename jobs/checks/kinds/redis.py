"""The check of a Redis or Valkey server, by redis-py."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from jobs.checks.database_answers import CLOSED, FAILED, FULL, REFUSED, Explanation, describe_answer
from jobs.checks.databases import Credentials, DatabaseCheck, ServerState
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import Check
from jobs.runs import ErrorClass
from jobs.targets.databases import RedisTarget

_ROLES = {"master": "primary", "slave": "replica"}


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> Check:
    """Build the check. Called by jobs.checks."""
    return DatabaseCheck(dependencies, RedisDriver)


class RedisDriver:
    """Speaks RESP 2, which every release understands."""

    PROTOCOL_NAME = "the protocol of Redis"

    def __init__(self) -> None:
        self._library = import_module("redis")

        base: Any = self._library.Connection

        class GivenConnection(base):  # type: ignore[misc]  # the library is loaded here
            """A connection over a socket that is connected already."""

            def __init__(self, sock: socket.socket, **arguments: Any) -> None:
                super().__init__(**arguments)
                self._given = sock

            def _connect(self) -> socket.socket:
                return self._given

            def close(self) -> None:
                self.disconnect()

        self._connection = GivenConnection

    def sign_in(
        self,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
        target: RedisTarget,
        login: Credentials,
        state: ServerState,
    ) -> Any:
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=(target.server_name or target.host).rstrip("."))
            state.note_tls(sock)
        connection = self._connection(
            sock,
            db=target.database,
            username=login.user or None,
            password=login.password or None,
            protocol=2,
            retry=import_module("redis.retry").Retry(import_module("redis.backoff").NoBackoff(), 0),
        )
        try:
            connection.connect()
        except Exception:
            connection.close()
            raise
        return connection

    def read_state(self, connection: Any, target: RedisTarget, state: ServerState) -> None:
        try:
            text = _ask(connection, "INFO")
        except self._library.exceptions.NoPermissionError:
            return  # the user must not read it
        lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
        info = {name: value for name, _, value in lines}
        state.version = info.get("valkey_version") or info.get("redis_version", "")
        state.role = _ROLES.get(info.get("role", ""), "")
        if state.role == "replica" and info.get("master_link_status") == "up":
            state.lag_s = float(info.get("master_last_io_seconds_ago", "0"))

    def read_rows(self, connection: Any, target: RedisTarget) -> Sequence[Mapping[str, Any]] | None:
        answer = _ask(connection, *target.command)
        return [{"value": _read_number(answer) if isinstance(answer, bytes) else answer}]

    def explain(self, error: Exception, target: RedisTarget) -> Explanation | None:
        errors = self._library.exceptions
        text = describe_answer(error)
        if "max number of clients" in text:
            return FULL[0], FULL[1].format(text=text)
        for kind, error_class, sentence in (
            ((errors.AuthenticationError, errors.AuthorizationError), *REFUSED),
            (errors.BusyLoadingError, ErrorClass.CONNECTION_FAILED, "does not accept commands now: {text}"),
            (errors.InvalidResponse, ErrorClass.PROTOCOL_ERROR, "answered with something that is not Redis"),
            (errors.ResponseError, *FAILED),
            (errors.ConnectionError, *CLOSED),
        ):
            if isinstance(error, kind):
                return error_class, sentence.format(text=text)
        return None


def _ask(connection: Any, *command: str) -> Any:
    connection.send_command(*command)
    return connection.read_response(disable_decoding=True)


def _read_number(answer: bytes) -> Any:
    """Return a number where the value is one, as expectations compare numbers."""
    text = answer.decode("utf-8", "replace")
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text
