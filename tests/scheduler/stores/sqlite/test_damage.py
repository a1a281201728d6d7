"""A SQLite file that is damaged or goes away while it is open: what is said, and what goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from scheduler.stores.port import StoreDamaged, StoreUnavailable, Upsert
from scheduler.stores.sqlite.store import SqliteStore, open_sqlite
from scheduler.stores.sqlite.whole_file import FileCheck

PAGE = 4096
ROWS = 900


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def filled(path: Path) -> Path:
    """A closed file of some hundred pages."""
    store = await open_sqlite(path)
    await store.apply(*(Upsert("a", "p", f"{number:04}", "x" * 500) for number in range(ROWS)))
    await store.aclose()
    return path


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_sqlite(path)
    yield store
    await store.aclose()


def leaf_of(path: Path, key: str) -> int:
    """The number of the page that holds this row, counted from 0: a leaf, which holds the text of the key as it is."""
    content = path.read_bytes()
    return content.rindex(f"p{key}".encode()) // PAGE


def zero(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(bytes(PAGE))


async def damage_of(path: Path) -> str:
    check = FileCheck(path)
    await check.run()
    return check.damage


async def test_a_file_that_is_well_has_no_damage(filled: Path) -> None:
    assert await damage_of(filled) == ""


async def test_the_check_names_a_zeroed_page_and_reports_how_to_mend_it(filled: Path) -> None:
    page = leaf_of(filled, "0500")
    zero(filled, page)

    damage = await damage_of(filled)

    assert f"store {filled}: the file is damaged (" in damage
    assert f"page {page + 1}" in damage
    assert "`sqlite3 FILE .recover`" in damage


async def test_the_check_sees_what_is_not_yet_in_the_file_itself(path: Path, store: SqliteStore) -> None:
    await store.apply(*(Upsert("a", "p", f"{number:04}", "x" * 500) for number in range(ROWS)))

    assert await damage_of(path) == ""


async def test_a_file_that_is_gone_is_not_checked(path: Path) -> None:
    assert await damage_of(path) == ""


async def test_rows_of_a_damaged_page_keep_no_other_row_from_being_written(filled: Path) -> None:
    zero(filled, leaf_of(filled, "0500"))
    store = await open_sqlite(filled)
    try:
        bad, good = await store.apply_each([[Upsert("a", "p", "0500", "new")], [Upsert("a", "p", "0001", "new")]])
        assert isinstance(bad, StoreDamaged)
        assert not isinstance(good, Exception)
        row = await store.get_row("a", "p", "0001")
        assert row is not None
        assert row.body == "new"
    finally:
        await store.aclose()


async def test_a_text_that_is_not_utf8_is_reported_with_advice_and_not_shown(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("UPDATE rows SET body = CAST(X'736563726574FF' AS TEXT) WHERE row_key = '0500'")
    store = await open_sqlite(filled)
    try:
        with pytest.raises(StoreDamaged, match=r"bytes that are not UTF-8, so the file is damaged: stop the") as raised:
            await store.get_row("a", "p", "0500")
        assert "secret" not in str(raised.value)
    finally:
        await store.aclose()


async def test_damage_that_any_caller_meets_is_remembered(filled: Path) -> None:
    zero(filled, leaf_of(filled, "0500"))
    store = await open_sqlite(filled)
    try:
        before = store.file_check.damage
        with pytest.raises(StoreDamaged):
            await store.get_row("a", "p", "0500")
        assert (before, "the file is damaged: stop the scheduler" in store.file_check.damage) == ("", True)
    finally:
        await store.aclose()


@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_a_file_that_is_removed_while_it_is_open_is_noticed(suffix: str, path: Path, store: SqliteStore) -> None:
    await store.ping()
    path.with_name(path.name + suffix).unlink()

    with pytest.raises(StoreUnavailable, match=f"store.db{suffix}: the file was removed or replaced while it is open"):
        await store.ping()
