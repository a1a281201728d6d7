from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.errors import BadContentEncoding, TooManyGzipMembers
from jobs.checks.http.responses import ResponseBody, read_body
from jobs.inflaters import MAX_GZIP_MEMBERS
from tests.parts.turns import counted_turns

MANY = 10_000_000


async def parts_of(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(*parts: bytes, encoding: str = "", limit: int = MANY) -> ResponseBody:
    return await read_body(parts_of(parts), encoding, limit)


def bare_deflate(content: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(content) + squeeze.flush()


_WAYS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "bare": bare_deflate,
    "": bytes,
}


@given(st.binary(max_size=500), st.sampled_from(sorted(_WAYS)), st.integers(1, 50), st.integers(0, 600))
async def test_a_body_is_the_same_however_it_is_cut_up(content: bytes, way: str, size: int, limit: int) -> None:
    packed = _WAYS[way](content)
    parts = [packed[at : at + size] for at in range(0, len(packed), size)]
    body = await read(*parts, encoding="deflate" if way == "bare" else way, limit=limit)
    assert body == ResponseBody(content[:limit], truncated=len(content) > limit)


async def test_several_gzip_members_in_a_row_are_one_body() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two")
    assert (await read(packed, encoding="gzip")).content == b"one two"
    assert (await read(*(packed[at : at + 1] for at in range(len(packed))), encoding="gzip")).content == b"one two"


@pytest.mark.parametrize(("encoding", "packed"), [("gzip", gzip.compress(b"x")), ("deflate", zlib.compress(b"x"))])
async def test_padding_after_the_end_is_ignored(encoding: str, packed: bytes) -> None:
    assert (await read(packed + b"\0" * 10, b"\0", encoding=encoding)).content == b"x"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_an_empty_body_needs_no_encoding(encoding: str) -> None:
    assert await read(encoding=encoding) == ResponseBody(b"", truncated=False)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", b"not gzip"),
        ("gzip", gzip.compress(b"whole")[:-1]),
        ("gzip", gzip.compress(b"whole")[:-9] + b"\0" * 9),
        ("deflate", zlib.compress(b"whole")[:-1]),
        ("deflate", b"\xff\xff\xff\xff"),
    ],
)
async def test_a_body_that_is_not_what_its_header_reports_is_refused(encoding: str, packed: bytes) -> None:
    with pytest.raises(BadContentEncoding, match=encoding):
        await read(packed, encoding=encoding)


async def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    try:
        body = await read(bomb, encoding="gzip", limit=10_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert body == ResponseBody(bytes(10_000), truncated=True)
    assert peak < 500_000


async def test_others_have_their_turn_while_thousands_of_members_are_unpacked() -> None:
    async with counted_turns() as turns:
        await read(gzip.compress(os.urandom(200)) * 900, encoding="gzip")
    assert turns.number > 5


async def test_a_body_that_unpacks_to_nothing_forever_is_left() -> None:
    async def empty_blocks() -> AsyncIterator[bytes]:
        while True:
            yield b"\0\0\0\xff\xff" * 1000

    body = await read_body(empty_blocks(), "deflate", 1000)
    assert body == ResponseBody(b"", truncated=True)


async def test_a_body_of_too_many_gzip_members_is_refused() -> None:
    assert (await read(gzip.compress(b"x") * MAX_GZIP_MEMBERS, encoding="gzip")).content == b"x" * MAX_GZIP_MEMBERS
    with pytest.raises(TooManyGzipMembers):
        await read(gzip.compress(b"x") * (MAX_GZIP_MEMBERS + 1), encoding="gzip")


async def test_others_have_their_turn_while_a_bomb_is_unpacked() -> None:
    """In steps of a mebibyte."""
    async with counted_turns() as turns:
        body = await read(zlib.compress(bytes(8 * 1024 * 1024)), encoding="deflate", limit=16 * 1024 * 1024)
    assert (len(body.content), body.truncated) == (8 * 1024 * 1024, False)
    assert turns.number >= 6
