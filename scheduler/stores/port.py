"""The narrow port below all repositories: rows of JSON text, found by table, partition and key.

Implemented by the stores in sqlite and azure, and by the tests' memory store. To store a new thing, add a repository in
this folder, see scheduler.stores.table: tables need not be declared.

 StoreError
  ├─ RowExists         insert: a row of that key exists
  ├─ RowChanged        replace: the row was changed or deleted since it was read
  ├─ StoreUnavailable  the store cannot be used now: unreachable, locked, full, damaged, or made by a newer version
  │   └─ StoreDamaged  its content is damaged: other rows may be intact, and waiting does not help
  └─ ClaimLost         (in runs.open_runs) another owner has the run

The port finds rows by table and partition. A backup has to find all of them: it reads a StoreScan.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Protocol

from jobs.fast_frozen import fast_frozen


class StoreError(Exception):
    """Base of all errors of the stores. The message is for operators."""


class RowExists(StoreError):
    """A row of that key exists."""

    def __init__(self, table: str, partition: str, key: str) -> None:
        super().__init__(f"row {partition!r}, {key!r} of {table} exists already")
        self.key = key


class RowChanged(StoreError):
    """The row was changed or deleted since it was read."""

    def __init__(self, table: str, partition: str, key: str) -> None:
        super().__init__(f"row {partition!r}, {key!r} of {table} was changed by another process: read it again")
        self.key = key


class StoreUnavailable(StoreError):
    """The store cannot be used now. The message gives the cause and what to check."""


class StoreDamaged(StoreUnavailable):
    """A part of the store is damaged. Other rows may be readable and writable."""


@fast_frozen(frozen=True, slots=True)
class Row:
    """A stored row. Every write gives it another etag, also a new insert after a delete."""

    partition: str
    key: str
    body: str
    etag: str


@fast_frozen(frozen=True, slots=True)
class Insert:
    """A new row. RowExists if one of that key exists."""

    table: str
    partition: str
    key: str
    body: str


@fast_frozen(frozen=True, slots=True)
class Replace:
    """Another body for a row that still has this etag. RowChanged if it has another etag or is deleted."""

    table: str
    partition: str
    key: str
    body: str
    etag: str


@fast_frozen(frozen=True, slots=True)
class Upsert:
    """This row, whether or not one of that key exists."""

    table: str
    partition: str
    key: str
    body: str


@fast_frozen(frozen=True, slots=True)
class Delete:
    """No row of this key. Does nothing if none exists.

    With an etag: only the row that still has it. RowChanged if it has another etag or is deleted.
    """

    table: str
    partition: str
    key: str
    etag: str = ""


Change = Insert | Replace | Upsert | Delete
Etags = tuple[str, ...]
"""The new etag of each changed row, "" for a delete."""

MAX_BODY = 900_000
"""Characters. Azure Tables accepts 1 MiB a row; every store rejects more than this."""
MAX_ATOMIC_GROUP = 100
"""Changes of different rows of one partition that every store makes all or none. Set by Azure Tables."""
MAX_PAGE = 1000
"""Rows of one `list_rows`."""


class Store(Protocol):
    """Tables of rows.

    Table names are lower-case letters and underscores. A partition or a key is a text of 1 to 250 characters. Rows of a
    partition are ordered by the code points of their keys, as long as those consist of `A-Z a-z 0-9 . _ @ ~ -` (other
    characters are stored, but may sort elsewhere).
    """

    async def apply(self, *changes: Change) -> Etags:
        """Make the changes in this order.

        When it returns, the changes survive the end of the process at any moment. If it raises, or if the process ends,
        none of them is made, provided that they are at most MAX_ATOMIC_GROUP changes of different rows of one
        partition. Of other changes, those before the failed one may be made: SQLite makes all or none, Azure Tables one
        partition after the other. Order such changes so that a crash between any two does no harm and repeating them is
        safe. A change that a store's own retry makes twice counts as made once.

        Cancelling the caller does not stop the changes.

        Raises:
            RowExists, RowChanged: of the change that failed.
            StoreUnavailable: it is unknown whether the changes were made.
            StoreError: a body is too large or cannot be stored.
        """
        ...

    async def apply_each(self, groups: Sequence[Sequence[Change]]) -> Sequence[Etags | StoreError]:
        """`apply` each group, many of them together, which costs far less. Results in the order of the groups.

        Groups do not depend on each other and are made in any order; a failed group does not affect another.
        """
        ...

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        """Return the row as the latest finished `apply` left it. Raises StoreUnavailable."""
        ...

    async def list_rows(
        self, table: str, partition: str, *, after: str = "", until: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        """Return rows of a partition, ascending by key, at most `limit` (1 to MAX_PAGE).

        Their keys are greater than `after` and, unless it is "", less than `until`.

        Fewer than `limit` rows mean that no more exist. Without `bodies` each body is "", which costs less. Raises
        StoreUnavailable.
        """
        ...

    async def ping(self) -> None:
        """Check that rows can be read and written now. Raises StoreUnavailable."""
        ...

    async def aclose(self) -> None:
        """Finish the changes in flight and release all resources. A second call does nothing."""
        ...


class StoreScan(Protocol):
    """All methods raise StoreError."""

    is_snapshot: bool
    """Whether all rows are those of one instant. Otherwise each row is as it was when it was read."""

    async def read_schema(self) -> int:
        """Return the oldest form that a row may have: see scheduler.stores.rows."""
        ...

    async def count_rows(self) -> Mapping[str, int | None]:
        """Return the tables that exist, each with the number of its rows; None if only reading them all would tell.

        A table of another name than the program uses is among them.
        """
        ...

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        """Return one row."""
        ...

    def read_table(self, table: str) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows of a table in pages, by partition and key."""
        ...

    async def find_damage(self) -> str:
        """Return what is damaged, "" if nothing is or if the backend repairs its own damage."""
        ...

    async def aclose(self) -> None:
        """Release all resources."""
        ...


def put_row(table: str, partition: str, key: str, body: str, etag: str | None) -> Insert | Replace:
    """Return the change that replaces the row of this etag; without an etag, the one that inserts the first row."""
    return Replace(table, partition, key, body, etag) if etag else Insert(table, partition, key, body)


def split_into_atomic_groups(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Yield neighbours of one partition together, up to MAX_ATOMIC_GROUP changes of different rows."""
    for _, together in groupby(changes, key=lambda change: (change.table, change.partition)):
        step: list[Change] = []
        keys: set[str] = set()
        for change in together:
            if len(step) == MAX_ATOMIC_GROUP or change.key in keys:
                yield step
                step, keys = [], set()
            step.append(change)
            keys.add(change.key)
        yield step
