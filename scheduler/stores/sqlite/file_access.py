"""Reads and changes the rows of the SQLite file, many applies in one transaction.

The reader runs in the store's reader thread only, the writer in the writer thread only: in WAL mode neither waits for
the other. The reader also moves committed pages from the WAL into the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from scheduler.stores.port import (
    MAX_BODY,
    Change,
    Delete,
    Etags,
    Insert,
    Replace,
    Row,
    RowChanged,
    RowExists,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
    Upsert,
)
from scheduler.stores.sqlite.connections import to_store_error

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


_INSERT = "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?)"
_PUT = "INSERT INTO rows VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET etag = excluded.etag, body = excluded.body"
_REPLACE = "UPDATE rows SET etag = ?, body = ? WHERE table_name = ? AND partition_key = ? AND row_key = ? AND etag = ?"
_DELETE = "DELETE FROM rows WHERE table_name = ? AND partition_key = ? AND row_key = ?"
_DELETE_UNCHANGED = f"{_DELETE} AND etag = ?"

_PUT_MANY = "INSERT INTO rows VALUES {rows} ON CONFLICT DO UPDATE SET etag = excluded.etag, body = excluded.body"
# CROSS JOIN: the values are the outer loop.
_REPLACE_MANY = (
    "INSERT INTO rows SELECT v.column1, v.column2, v.column3, v.column4, v.column5 FROM (VALUES {rows}) AS v "
    "CROSS JOIN rows AS r ON r.table_name = v.column1 AND r.partition_key = v.column2 AND r.row_key = v.column3 "
    "AND r.etag = v.column6 WHERE true ON CONFLICT DO UPDATE SET etag = excluded.etag, body = excluded.body"
)
_STATEMENT_SIZES = (64, 16, 4, 1)
"""Rows of one statement: few sizes, so that the statements stay prepared."""

ChangeGroup = tuple[Change, ...]
BatchAnswers = Sequence[Etags | Exception]


def _format_statements(sql: str, values: int) -> dict[int, str]:
    row = f"({', '.join('?' * values)})"
    return {size: sql.format(rows=", ".join([row] * size)) for size in _STATEMENT_SIZES}


_STATEMENTS: dict[type[Change], dict[int, str]] = {
    Insert: _format_statements("INSERT OR IGNORE INTO rows VALUES {rows}", 5),
    Upsert: _format_statements(_PUT_MANY, 5),
    Replace: _format_statements(_REPLACE_MANY, 6),
    Delete: _format_statements("DELETE FROM rows WHERE (table_name, partition_key, row_key) IN (VALUES {rows})", 3),
}
"""The statements for several rows, by their number."""


class SqliteWriter:
    """`opening` is the number of this opening of the file: etags begin with it, so none is used twice."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        opening: int,
        on_error: Callable[[StoreUnavailable], None] = lambda _: None,
    ) -> None:
        """`on_error` gets each error of the file."""
        self._path = path
        self._on_error = on_error
        self._connection = connection
        self._cursor = connection.cursor()
        self._etags: Iterator[int] = count(opening << 40)

    def process(self, group: Sequence[ChangeGroup]) -> BatchAnswers:
        """Make the whole batch in one transaction. An apply that fails does not affect the others."""
        try:
            try:
                return self._transaction(self._apply_together, group)
            except sqlite3.Error:
                raise
            except Exception:
                # Most applies succeed, so the savepoints that separate them are set only after one has failed.
                return self._transaction(self._apply_separately, group)
        except sqlite3.Error as error:
            store_error = to_store_error(self._path, error)
            if isinstance(store_error, StoreDamaged) and len(group) > 1:
                # The damaged page of one apply must not prevent the others.
                return [answer for changes in group for answer in self.process([changes])]
            self._on_error(store_error)
            return [store_error for _ in group]

    def _transaction(
        self, apply: Callable[[Sequence[ChangeGroup]], BatchAnswers], group: Sequence[ChangeGroup]
    ) -> BatchAnswers:
        self._cursor.execute("BEGIN IMMEDIATE")
        try:
            answers = apply(group)
            self._cursor.execute("COMMIT")
        except BaseException:
            # Some errors, such as a full disk, have rolled back already.
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")
            raise
        return answers

    def _apply_together(self, group: Sequence[ChangeGroup]) -> Sequence[Etags]:
        """Make all changes with few statements. Raises if one fails: see process.

        The thread waits for the interpreter's lock after each statement, on a busy event loop for much longer than the
        statement takes.
        """
        statements: dict[type[Change], list[Sequence[str | int]]] = {}
        rows: set[tuple[str, str, str]] = set()
        answers: list[Etags] = []
        for changes in group:
            etags: list[str] = []
            for change in changes:
                row = (change.table, change.partition, change.key)
                if row in rows:  # only changes of different rows can be made in another order
                    self._execute_many(statements)
                    rows.clear()
                rows.add(row)
                if isinstance(change, Delete):
                    if change.etag:
                        self._delete(change)
                    else:
                        statements.setdefault(Delete, []).append(row)
                    etags.append("")
                    continue
                _require_size(change)
                etag = next(self._etags)
                known = (_known_etag(change),) if isinstance(change, Replace) else ()
                statements.setdefault(type(change), []).append((*row, etag, change.body, *known))
                etags.append(str(etag))
            answers.append(tuple(etags))
        self._execute_many(statements)
        return answers

    def _execute_many(self, statements: dict[type[Change], list[Sequence[str | int]]]) -> None:
        """Raises StoreError if a row exists or has changed. Empties `statements`."""
        for kind, rows in statements.items():
            start = 0
            for size in _STATEMENT_SIZES:
                while len(rows) - start >= size:
                    values = list(chain.from_iterable(rows[start : start + size]))
                    changed = self._cursor.execute(_STATEMENTS[kind][size], values).rowcount
                    if changed != size and kind is not Delete:
                        raise StoreError("a change of the batch failed")
                    start += size
        statements.clear()

    def _apply_separately(self, group: Sequence[ChangeGroup]) -> BatchAnswers:
        return [self._apply_or_undo(changes) for changes in group]

    def _apply_or_undo(self, changes: ChangeGroup) -> Etags | Exception:
        self._cursor.execute("SAVEPOINT one")
        try:
            etags = self._apply_changes(changes)
        except sqlite3.Error:
            raise
        except Exception as error:
            self._cursor.execute("ROLLBACK TO one")
            self._cursor.execute("RELEASE one")
            return error if isinstance(error, StoreError) else StoreError(f"a row cannot be stored: {error}")
        self._cursor.execute("RELEASE one")
        return etags

    def _apply_changes(self, changes: ChangeGroup) -> Etags:
        return tuple([self._apply_change(change) for change in changes])

    def _apply_change(self, change: Change) -> str:
        """Return the row's new etag."""
        row = (change.table, change.partition, change.key)
        if isinstance(change, Delete):
            self._delete(change)
            return ""
        _require_size(change)
        etag = next(self._etags)
        if isinstance(change, Insert):
            if not self._cursor.execute(_INSERT, (*row, etag, change.body)).rowcount:
                raise RowExists(*row)
        elif isinstance(change, Upsert):
            self._cursor.execute(_PUT, (*row, etag, change.body))
        elif not self._cursor.execute(_REPLACE, (etag, change.body, *row, _known_etag(change))).rowcount:
            raise RowChanged(*row)
        return str(etag)

    def _delete(self, change: Delete) -> None:
        row = (change.table, change.partition, change.key)
        if not change.etag:
            self._cursor.execute(_DELETE, row)
        elif not self._cursor.execute(_DELETE_UNCHANGED, (*row, _known_etag(change))).rowcount:
            raise RowChanged(*row)


def _require_size(change: Insert | Upsert | Replace) -> None:
    if len(change.body) > MAX_BODY:
        raise StoreError(f"a row of {change.table} has {len(change.body)} characters; at most {MAX_BODY} fit")


def _known_etag(change: Replace | Delete) -> int:
    """An etag of another kind of store matches no row."""
    return int(change.etag) if change.etag.isdecimal() else -1
