"""Reads the SQLite file, and moves committed pages from the WAL into it. Runs in the store's reader thread only, next
to the writer: in WAL mode neither waits for the other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scheduler.stores.port import Row, StoreUnavailable
from scheduler.stores.sqlite.errors import to_store_error

_GET_SQL = "SELECT etag, body FROM rows WHERE table_name = ? AND partition_key = ? AND row_key = ?"
_LIST_SQL = (
    "SELECT row_key, etag, {body} FROM rows WHERE table_name = ? AND partition_key = ? AND row_key > ? {until} "
    "ORDER BY row_key LIMIT ?"
)
_LIST_SQL_VARIANTS = {
    (bodies, ends): _LIST_SQL.format(body="body" if bodies else "''", until="AND row_key < ?" if ends else "")
    for bodies in (True, False)
    for ends in (True, False)
}


@dataclass(frozen=True, slots=True)
class GetQuery:
    table: str
    partition: str
    key: str


@dataclass(frozen=True, slots=True)
class ListQuery:
    table: str
    partition: str
    after: str
    until: str
    limit: int
    bodies: bool


@dataclass(frozen=True, slots=True)
class CheckpointRequest:
    """Move committed pages from the WAL into the file. This waits for the disk, which the writer must not."""


ReaderRequest = GetQuery | ListQuery | CheckpointRequest


class SqliteReader:
    def __init__(
        self, path: Path, connection: sqlite3.Connection, on_error: Callable[[StoreUnavailable], None] = lambda _: None
    ) -> None:
        """`on_error` gets each error of the file."""
        self._path = path
        self._on_error = on_error
        self._cursor = connection.cursor()

    def process(self, group: Sequence[ReaderRequest]) -> Sequence[Sequence[Row] | Exception]:
        """Return the rows for each request; at most one for a GetQuery, none for a CheckpointRequest."""
        return [self._answer(question) for question in group]

    def _answer(self, question: ReaderRequest) -> Sequence[Row] | Exception:
        try:
            if isinstance(question, GetQuery):
                return self._get(question)
            if isinstance(question, ListQuery):
                return self._list(question)
            self._cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return ()
        except sqlite3.Error as error:
            found = to_store_error(self._path, error)
            self._on_error(found)
            return found

    def _get(self, question: GetQuery) -> list[Row]:
        partition, key = question.partition, question.key
        found = self._cursor.execute(_GET_SQL, (question.table, partition, key)).fetchall()
        return [Row(partition, key, body, str(etag)) for etag, body in found]

    def _list(self, question: ListQuery) -> list[Row]:
        partition = question.partition
        sql = _LIST_SQL_VARIANTS[question.bodies, question.until != ""]
        until = (question.until,) if question.until else ()
        found = self._cursor.execute(sql, (question.table, partition, question.after, *until, question.limit))
        return [Row(partition, key, body, str(etag)) for key, etag, body in found.fetchall()]
