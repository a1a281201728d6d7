"""What every store does, by the port's docstrings."""

from __future__ import annotations

import asyncio
import json

import pytest

from scheduler.stores.port import (
    MAX_BODY,
    Delete,
    Insert,
    Replace,
    Row,
    RowChanged,
    RowExists,
    Store,
    StoreError,
    Upsert,
)
from tests.scheduler.stores.conftest import OpenStore

ODD_KEYS = [
    "a/b",
    "a\\b",
    "a#b",
    "a?b",
    "50%",
    "%2F",
    "o'clock",
    "a b",
    "a+b",
    "é",
    "🚦",
    "a\tb",
    "!2f!",
    "a&b=c",
    '"',
    "@",
]


async def test_an_inserted_row_is_read_back_with_the_etag_of_its_insert(store: Store) -> None:
    (etag,) = await store.apply(Insert("runs", "job", "1", '{"a":1}'))
    assert await store.get_row("runs", "job", "1") == Row("job", "1", '{"a":1}', etag)


async def test_a_row_that_is_not_there_is_none(store: Store) -> None:
    assert await store.get_row("runs", "job", "1") is None


async def test_a_second_insert_of_a_key_is_refused_and_changes_nothing(store: Store) -> None:
    await store.apply(Insert("runs", "job", "1", "1"))
    with pytest.raises(RowExists, match="row 'job', '1' of runs exists already"):
        await store.apply(Insert("runs", "job", "1", "2"))
    row = await store.get_row("runs", "job", "1")
    assert row is not None
    assert row.body == "1"


async def test_a_put_makes_a_row_and_writes_over_it(store: Store) -> None:
    (first,) = await store.apply(Upsert("runs", "job", "1", "1"))
    (second,) = await store.apply(Upsert("runs", "job", "1", "2"))
    assert await store.get_row("runs", "job", "1") == Row("job", "1", "2", second)
    assert first != second


async def test_a_replace_with_the_etag_that_was_read_is_made(store: Store) -> None:
    await store.apply(Insert("runs", "job", "1", "1"))
    row = await store.get_row("runs", "job", "1")
    assert row is not None
    (etag,) = await store.apply(Replace("runs", "job", "1", "2", row.etag))
    assert await store.get_row("runs", "job", "1") == Row("job", "1", "2", etag)


async def test_a_replace_of_a_row_that_was_changed_since_is_refused(store: Store) -> None:
    (etag,) = await store.apply(Insert("runs", "job", "1", "1"))
    await store.apply(Upsert("runs", "job", "1", "2"))
    with pytest.raises(RowChanged):
        await store.apply(Replace("runs", "job", "1", "3", etag))


async def test_a_replace_of_a_row_that_is_gone_is_refused(store: Store) -> None:
    (etag,) = await store.apply(Insert("runs", "job", "1", "1"))
    await store.apply(Delete("runs", "job", "1"))
    with pytest.raises(RowChanged):
        await store.apply(Replace("runs", "job", "1", "2", etag))


async def test_an_etag_does_not_come_back_with_a_row_of_the_same_key(store: Store) -> None:
    (etag,) = await store.apply(Insert("runs", "job", "1", "1"))
    await store.apply(Delete("runs", "job", "1"), Insert("runs", "job", "1", "1"))
    with pytest.raises(RowChanged):
        await store.apply(Replace("runs", "job", "1", "2", etag))


async def test_a_deleted_row_is_gone_and_deleting_it_again_does_nothing(store: Store) -> None:
    await store.apply(Insert("runs", "job", "1", "1"))
    assert await store.apply(Delete("runs", "job", "1")) == ("",)
    assert await store.apply(Delete("runs", "job", "1"), Delete("runs", "job", "2")) == ("", "")
    assert await store.get_row("runs", "job", "1") is None


async def test_a_delete_with_an_etag_deletes_only_the_row_that_has_it(store: Store) -> None:
    (old,) = await store.apply(Insert("runs", "job", "1", "1"))
    (new,) = await store.apply(Upsert("runs", "job", "1", "2"))
    with pytest.raises(RowChanged) as caught:
        await store.apply(Upsert("runs", "job", "2", "made"), Delete("runs", "job", "1", old))
    assert caught.value.key == "1"
    assert await store.get_row("runs", "job", "2") is None
    assert await store.apply(Upsert("runs", "job", "2", "made"), Delete("runs", "job", "1", new)) != ()
    assert await store.get_row("runs", "job", "1") is None
    with pytest.raises(RowChanged):
        await store.apply(Delete("runs", "job", "1", new))


async def test_changes_are_made_in_their_order_and_each_answers_with_its_etag(store: Store) -> None:
    etags = await store.apply(Upsert("a", "p", "1", "1"), Upsert("b", "q", "1", "1"), Upsert("a", "p", "1", "2"))
    assert len(set(etags)) == 3
    assert await store.get_row("a", "p", "1") == Row("p", "1", "2", etags[2])


async def test_what_comes_after_a_failing_change_is_not_made(store: Store) -> None:
    await store.apply(Insert("a", "p", "1", "1"))
    with pytest.raises(RowExists):
        await store.apply(Insert("a", "p", "1", "2"), Upsert("b", "q", "1", "1"))
    assert await store.get_row("b", "q", "1") is None


async def test_a_failing_change_among_neighbours_is_named(store: Store) -> None:
    await store.apply(Insert("a", "p", "2", "1"))
    with pytest.raises(RowExists, match="'2'"):
        await store.apply(Upsert("a", "p", "1", "1"), Insert("a", "p", "2", "2"), Upsert("a", "p", "3", "1"))
    assert await store.get_row("a", "p", "3") is None


async def test_changes_of_different_rows_of_one_partition_are_made_all_or_none(store: Store) -> None:
    (etag,) = await store.apply(Insert("a", "p", "old", "1"))
    await store.apply(Upsert("a", "p", "old", "2"))
    with pytest.raises(RowExists, match="'old'"):
        await store.apply(Upsert("a", "p", "1", "1"), Delete("a", "p", "old2"), Insert("a", "p", "old", "2"))
    with pytest.raises(RowChanged, match="'old'"):
        await store.apply(Delete("a", "p", "gone"), Upsert("a", "p", "1", "1"), Replace("a", "p", "old", "2", etag))
    assert [row.key for row in await store.list_rows("a", "p", limit=9)] == ["old"]


async def test_each_of_many_groups_has_its_own_answer(store: Store) -> None:
    (old,) = await store.apply(Insert("a", "p", "old", "1"))
    await store.apply(Upsert("a", "p", "old", "2"))
    answers = await store.apply_each(
        [
            [Insert("a", "p", "1", "1"), Upsert("a", "p", "2", "1")],
            [Upsert("a", "p", "3", "1"), Insert("a", "p", "old", "3")],
            [],
            [Upsert("a", "p", "4", "1"), Replace("a", "p", "old", "3", old)],
            [Upsert("a", "p", "5", "x" * (MAX_BODY + 1))],
            [Upsert("a", "q", "6", "1"), Upsert("b", "p", "7", "1")],
            [Delete("a", "p", "gone")],
        ]
    )
    assert [answer if isinstance(answer, tuple) else type(answer) for answer in answers][1:] == [
        *(RowExists, (), RowChanged, StoreError),
        *(answers[5], ("",)),
    ]
    assert [row.key for row in await store.list_rows("a", "p", limit=9)] == ["1", "2", "old"]
    (etags,) = [answer for answer in answers[:1] if isinstance(answer, tuple)]
    rows = [await store.get_row("a", "p", "1"), await store.get_row("a", "p", "2")]
    assert [row.etag for row in rows if row is not None] == [*etags]
    assert await store.get_row("a", "q", "6") is not None
    assert await store.get_row("b", "p", "7") is not None


async def test_groups_that_change_one_row_do_not_spoil_each_other(store: Store) -> None:
    answers = await store.apply_each([[Insert("a", "p", "1", str(number))] for number in range(5)])
    assert sorted(type(answer).__name__ for answer in answers) == ["RowExists"] * 4 + ["tuple"]


@pytest.mark.parametrize("taken", [0, 1, 2, 40, 118, 119, 120])
async def test_of_many_groups_all_are_made_that_can_be(store: Store, taken: int) -> None:
    await store.apply(*(Insert("a", "p", f"{number * 7 % 120:03}", "old") for number in range(taken)))
    groups = [
        [Upsert("a", "p", f"x{number:03}", "1"), Insert("a", "p", f"{number:03}", "new")] for number in range(120)
    ]
    answers = await store.apply_each(groups)
    assert sum(isinstance(answer, RowExists) for answer in answers) == taken
    rows = {row.key: row for row in await store.list_rows("a", "p", limit=1000)}
    for number, answer in enumerate(answers):
        row, beside = rows[f"{number:03}"], rows.get(f"x{number:03}")
        if isinstance(answer, tuple):
            assert beside is not None
            assert (answer, row.body) == ((beside.etag, row.etag), "new")
        else:
            assert (beside, row.body) == (None, "old")


async def test_deleting_rows_of_which_some_are_gone_deletes_the_others(store: Store) -> None:
    await store.apply(*(Upsert("a", "p", str(number), "1") for number in range(9)))
    assert await store.apply(*(Delete("a", "p", str(number)) for number in range(0, 20, 2))) == ("",) * 10
    assert [row.key for row in await store.list_rows("a", "p", limit=99)] == ["1", "3", "5", "7"]


async def test_changes_of_one_partition_are_made_whatever_their_number(store: Store) -> None:
    keys = [f"{number:04d}" for number in range(250)]
    etags = await store.apply(*(Insert("a", "p", key, key) for key in keys))
    rows = await store.list_rows("a", "p", limit=1000)
    assert [(row.key, row.etag) for row in rows] == list(zip(keys, etags, strict=True))
    await store.apply(Delete("a", "p", "absent"), *(Delete("a", "p", key) for key in keys))
    assert await store.list_rows("a", "p", limit=1000) == []


async def test_no_changes_are_no_work(store: Store) -> None:
    assert await store.apply() == ()


async def test_rows_are_listed_by_key_after_a_key_up_to_a_limit(store: Store) -> None:
    await store.apply(*(Upsert("a", "p", key, f'"{key}"') for key in ("3", "1", "2.x", "2@y", "2", "4")))
    rows = await store.list_rows("a", "p", after="1", limit=3)
    assert [(row.partition, row.key, row.body) for row in rows] == [
        ("p", "2", '"2"'),
        ("p", "2.x", '"2.x"'),
        ("p", "2@y", '"2@y"'),
    ]
    assert [row.key for row in await store.list_rows("a", "p", after="3", limit=3)] == ["4"]


async def test_rows_are_listed_until_a_key(store: Store) -> None:
    await store.apply(
        *(Upsert("a", "p", key, "1") for key in ("r~a~1", "r~a~2", "r~a-b~1", "r~ab~1", "o~a~1", "r~a~~"))
    )
    rows = await store.list_rows("a", "p", after="r~a~", until="r~a~~", limit=9)
    assert [row.key for row in rows] == ["r~a~1", "r~a~2"]
    assert [row.key for row in await store.list_rows("a", "p", until="r~a~1", limit=9, bodies=False)] == [
        "o~a~1",
        "r~a-b~1",
        "r~ab~1",
    ]
    assert [row.key for row in await store.list_rows("a", "p", after="p", until="r~b", limit=1)] == ["r~a-b~1"]
    assert await store.list_rows("a", "p", after="r~b", until="r~a", limit=9) == []


async def test_a_listed_row_has_the_etag_that_a_replace_wants(store: Store) -> None:
    await store.apply(Upsert("a", "p", "1", "1"))
    (row,) = await store.list_rows("a", "p", limit=2)
    await store.apply(Replace("a", "p", "1", "2", row.etag))


async def test_rows_can_be_listed_without_their_bodies(store: Store) -> None:
    await store.apply(Upsert("a", "p", "1", "1"))
    (row,) = await store.list_rows("a", "p", limit=1, bodies=False)
    assert (row.key, row.body) == ("1", "")


async def test_tables_and_partitions_do_not_mix(store: Store) -> None:
    await store.apply(Upsert("a", "p", "1", "ap"), Upsert("b", "p", "1", "bp"), Upsert("a", "pp", "1", "app"))
    assert [row.body for row in await store.list_rows("a", "p", limit=10)] == ["ap"]
    await store.apply(Delete("a", "p", "1"))
    assert await store.get_row("b", "p", "1") is not None
    assert await store.get_row("a", "pp", "1") is not None


async def test_keys_may_hold_any_character(store: Store) -> None:
    for key in ODD_KEYS:
        await store.apply(Insert("a", key, key, json.dumps(key)))
    for key in ODD_KEYS:
        row = await store.get_row("a", key, key)
        assert row is not None
        assert (row.partition, row.key, row.body) == (key, key, json.dumps(key))
        assert [row.key for row in await store.list_rows("a", key, limit=5)] == [key]


@pytest.mark.parametrize("length", [14_999, 15_001, 40_000, MAX_BODY])
async def test_a_large_body_is_kept_whole(store: Store, length: int) -> None:
    body = ("é🚦" + "".join(f"{number * 7919 % 99991:x}" for number in range(length // 4)))[:length].ljust(length, "x")
    (etag,) = await store.apply(Upsert("a", "p", "1", body))
    assert await store.get_row("a", "p", "1") == Row("p", "1", body, etag)


async def test_a_body_that_is_too_large_is_refused(store: Store) -> None:
    with pytest.raises(StoreError):
        await store.apply(Upsert("a", "p", "1", "x" * (MAX_BODY + 1)))


async def test_a_small_body_may_follow_a_large_one(store: Store) -> None:
    await store.apply(Upsert("a", "p", "1", "x" * 40_000))
    (etag,) = await store.apply(Upsert("a", "p", "1", "1"))
    assert await store.get_row("a", "p", "1") == Row("p", "1", "1", etag)


async def test_of_many_inserts_of_one_key_at_once_one_succeeds(open_store: OpenStore) -> None:
    stores = [await open_store(), await open_store()]
    inserts = [store.apply(Insert("a", "p", "1", str(number))) for number in range(10) for store in stores]
    answers = await asyncio.gather(*inserts, return_exceptions=True)
    assert sum(isinstance(answer, tuple) for answer in answers) == 1
    assert sum(isinstance(answer, RowExists) for answer in answers) == 19


async def test_of_many_replaces_of_one_row_at_once_one_succeeds(open_store: OpenStore) -> None:
    stores = [await open_store(), await open_store()]
    (etag,) = await stores[0].apply(Insert("a", "p", "1", "0"))
    replaces = [store.apply(Replace("a", "p", "1", str(number), etag)) for number in range(10) for store in stores]
    answers = await asyncio.gather(*replaces, return_exceptions=True)
    assert sum(isinstance(answer, tuple) for answer in answers) == 1
    assert sum(isinstance(answer, RowChanged) for answer in answers) == 19


async def test_a_failing_apply_does_not_spoil_those_beside_it(store: Store) -> None:
    await store.apply(*(Insert("a", "p", str(number), "old") for number in range(0, 30, 3)))
    applies = (
        store.apply(Upsert("b", "q", str(number), "1"), Insert("a", "p", str(number), "new")) for number in range(30)
    )
    answers = await asyncio.gather(*applies, return_exceptions=True)
    for number, answer in enumerate(answers):
        assert isinstance(answer, tuple if number % 3 else RowExists), number
        row = await store.get_row("a", "p", str(number))
        assert row is not None
        assert row.body == ("new" if number % 3 else "old")


async def test_what_one_process_wrote_another_reads(open_store: OpenStore) -> None:
    writer, reader = await open_store(), await open_store()
    (etag,) = await writer.apply(Upsert("a", "p", "1", "1"))
    assert await reader.get_row("a", "p", "1") == Row("p", "1", "1", etag)


async def test_a_store_that_works_answers_a_ping(store: Store) -> None:
    await store.ping()


async def test_a_closed_store_is_of_no_more_use_and_may_be_closed_again(store: Store) -> None:
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreError):
        await store.ping()
