"""The narrow port below everything that is remembered: rows of JSON text, found by table, partition and key.

Implemented by sqlite and azure_tables (and by the tests' memory store); used by runs, circuits, cursors and
dead_letters. A new thing to remember is a new file beside those: tables need not be declared.

StoreError
 ├─ RowExists         insert: there is a row of that key already
 ├─ RowChanged        replace: the row is another one by now, or gone
 ├─ StoreUnavailable  the store cannot be used now: away, locked, full, damaged, or made by a newer version
 │   └─ StoreDamaged  what it holds is damaged: other rows may be well, and waiting mends nothing
 └─ ClaimLost         (in runs) a run is not its owner's any more
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jobs.fast_frozen import value


class StoreError(Exception):
    """Base of all errors of the stores; the message is meant for people."""


class RowExists(StoreError):
    """There is a row of that key already."""

    def __init__(self, table: str, partition: str, key: str) -> None:
        super().__init__(f"{table} has a row {partition!r}, {key!r} already")


class RowChanged(StoreError):
    """The row was changed or deleted since it was read."""

    def __init__(self, table: str, partition: str, key: str) -> None:
        super().__init__(f"row {partition!r}, {key!r} of {table} was changed by somebody else: read it again")


class StoreUnavailable(StoreError):
    """The store cannot be used now. The message says why and what to look at."""


class StoreDamaged(StoreUnavailable):
    """A part of the store is damaged. Other rows may be read and written."""


@value(frozen=True, slots=True)
class Row:
    """A stored row. The etag is another one after every write of the row, also after a delete and a new insert."""

    partition: str
    key: str
    body: str
    etag: str


@value(frozen=True, slots=True)
class Insert:
    """A new row. RowExists if there is one of that key."""

    table: str
    partition: str
    key: str
    body: str


@value(frozen=True, slots=True)
class Replace:
    """Another body for a row that still has this etag. RowChanged if it has another one or is gone."""

    table: str
    partition: str
    key: str
    body: str
    etag: str


@value(frozen=True, slots=True)
class Upsert:
    """This row, whether there was one or not."""

    table: str
    partition: str
    key: str
    body: str


@value(frozen=True, slots=True)
class Delete:
    """No row of this key; nothing happens if there was none."""

    table: str
    partition: str
    key: str


Change = Insert | Replace | Upsert | Delete
Etags = tuple[str, ...]
"""The new etag of each row that was changed, "" for a delete."""

LARGEST_BODY = 900_000
"""Characters. Azure Tables takes 1 MiB a row; every store refuses more than this."""
LARGEST_ATOMIC_GROUP = 100
"""Changes that every store makes all or none, if they are of different rows of one partition: set by Azure Tables."""
LARGEST_PAGE = 1000
"""Rows of one `list`."""


class Store(Protocol):
    """Tables of rows.

    Table names are lower case letters and underscores. A partition or a key is a text of 1 to 250 characters; rows of
    a partition are ordered by the code points of their keys, as long as those consist of `A-Z a-z 0-9 . _ @ ~ -`
    (other characters are kept, but may sort elsewhere).
    """

    async def apply(self, *changes: Change) -> Etags:
        """Make the changes in this order.

        When it returns, the changes outlive the end of the process at any moment. When it raises, or the process ends,
        none has been made if they are at most LARGEST_STEP of different rows of one partition. Of others those before
        the failing one may have been made: SQLite makes all or none, Azure Tables one partition after the other. So
        callers order such changes so that an end between any two does no harm, and repeating them is safe. A change
        that a store's own retry made twice counts as made once.

        A caller that is cancelled does not stop its changes.

        Raises:
            RowExists, RowChanged: of the change that failed.
            StoreUnavailable: the changes may or may not have been made.
            StoreError: a body is too large or cannot be stored.
        """
        ...

    async def apply_each(self, groups: Sequence[Sequence[Change]]) -> Sequence[Etags | StoreError]:
        """`apply` for each group, many of them together, which costs far less. Answers in the order of the groups.

        Groups do not depend on each other and are made in any order; one that fails does not spoil another.
        """
        ...

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        """The row as the latest finished `apply` left it. Raises StoreUnavailable."""
        ...

    async def list_rows(
        self, table: str, partition: str, *, after: str = "", until: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        """Rows of a partition, ascending by key, at most `limit` (1 to LARGEST_PAGE).

        Their keys are greater than `after` and, unless it is "", less than `until`.

        Fewer than `limit` means that there are no more. Without `bodies` each body is "", which costs less.
        Raises StoreUnavailable.
        """
        ...

    async def ping(self) -> None:
        """Whether rows can be read and written now. Raises StoreUnavailable."""
        ...

    async def aclose(self) -> None:
        """Finish the changes under way and let go of everything. A second call does nothing."""
        ...
