"""Reads all rows of a range, page by page. Used by the repositories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from scheduler.stores.port import LARGEST_PAGE, Row, Store


async def iterate_pages(
    store: Store,
    table: str,
    partition: str,
    *,
    after: str = "",
    until: str = "",
    bodies: bool = True,
    size: int | None = None,
) -> AsyncIterator[Sequence[Row]]:
    """Yield the pages of the rows that `Store.list_rows` describes; no empty page.

    `size`: rows of a page, by default as many as possible. Raises StoreUnavailable."""
    limit = size or LARGEST_PAGE
    while True:
        rows = await store.list_rows(table, partition, after=after, until=until, limit=limit, bodies=bodies)
        if rows:
            yield rows
        if len(rows) < limit:
            return
        after = rows[-1].key


async def list_all_rows(
    store: Store, table: str, partition: str, *, after: str = "", until: str = "", bodies: bool = True
) -> list[Row]:
    """Return all rows of the range, however many. Raises StoreUnavailable."""
    pages = iterate_pages(store, table, partition, after=after, until=until, bodies=bodies)
    return [row async for page in pages for row in page]
