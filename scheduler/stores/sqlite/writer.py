"""Makes changes in the SQLite file, many applies in one transaction. Runs in the store's writer thread only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

from scheduler.stores.port import (
    LARGEST_BODY,
    Change,
    Delete,
    Etags,
    Insert,
    Replace,
    RowChanged,
    RowExists,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
    Upsert,
)
from scheduler.stores.sqlite.errors import to_store_error

_INSERT = "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?)"
_PUT = "INSERT INTO rows VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET etag = excluded.etag, body = excluded.body"
_REPLACE = "UPDATE rows SET etag = ?, body = ? WHERE table_name = ? AND partition_key = ? AND row_key = ? AND etag = ?"
_DELETE = "DELETE FROM rows WHERE table_name = ? AND partition_key = ? AND row_key = ?"
_DELETE_UNCHANGED = f"{_DELETE} AND etag = ?"

ChangeGroup = tuple[Change, ...]


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

    def process(self, group: Sequence[ChangeGroup]) -> Sequence[Etags | Exception]:
        """Make the whole batch in one transaction. An apply that fails does not affect the others."""
        try:
            try:
                return self._transaction(self._apply_changes, group)
            except sqlite3.Error:
                raise
            except Exception:
                # Most applies succeed, so the savepoints that separate them are set only after one has failed.
                return self._transaction(self._apply_or_undo, group)
        except sqlite3.Error as error:
            found = to_store_error(self._path, error)
            if isinstance(found, StoreDamaged) and len(group) > 1:
                # The damaged page of one apply must not prevent the others.
                return [answer for changes in group for answer in self.process([changes])]
            self._on_error(found)
            return [found for _ in group]

    def _transaction(
        self, apply: Callable[[ChangeGroup], Etags | Exception], group: Sequence[ChangeGroup]
    ) -> Sequence[Etags | Exception]:
        self._cursor.execute("BEGIN IMMEDIATE")
        try:
            answers = [apply(changes) for changes in group]
            self._cursor.execute("COMMIT")
        except BaseException:
            # Some errors, such as a full disk, have rolled back already.
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")
            raise
        return answers

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
        if len(change.body) > LARGEST_BODY:
            raise StoreError(f"a row of {change.table} has {len(change.body)} characters; at most {LARGEST_BODY} fit")
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


def _known_etag(change: Replace | Delete) -> int:
    """An etag of another kind of store matches no row."""
    return int(change.etag) if change.etag.isdecimal() else -1
