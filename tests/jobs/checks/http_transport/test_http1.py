"""The bytes of an answer, without a network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.errors import HeadTooLarge, IncompleteResponse, MalformedResponse
from jobs.checks.http_transport.messages import MAX_HEAD, find_head_end, parse_head, select_framing
from tests.parts import bad_answers as answers


def content(wire: bytes, pieces: tuple[int, ...] = (), method: str = "GET") -> tuple[bytes, bool]:
    """The content of this answer, cut there, and whether bytes follow it."""
    end = find_head_end(wire)
    assert end is not None
    body, rest, found = select_framing(method, parse_head(wire[:end])), wire[end:], b""
    for start, stop in zip((0, *pieces), (*pieces, len(rest)), strict=True):
        if rest[start:stop]:
            found += body.feed(rest[start:stop])
    if not body.is_complete:
        body.close()
    return found, bool(body.has_extra)


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        (answers.GOOD, (b"ready", False)),
        (answers.LONGER_THAN_PROMISED, (b"ready", True)),
        (answers.SECOND_ANSWER, (b"ready", True)),
        (answers.TWICE_THE_SAME_LENGTH, (b"ready", False)),
        (answers.LENGTH_AND_CHUNKS, (b"ready", False)),
        (answers.CHUNKS_WITH_TRAILERS, (b"ready", False)),
        (answers.CHUNKS_WITH_TRAILERS + b"more", (b"ready", True)),
        (answers.LENGTH_AND_CHUNKS + answers.GOOD, (b"ready", True)),
        (answers.NO_CONTENT_WITH_CONTENT, (b"", True)),
        (answers.HTTP_1_0_UNTIL_THE_END, (b"ready", False)),
        (answers.head("Transfer-Encoding: CHUNKED") + b"5;a=b\r\nready\r\n0\r\n\r\n", (b"ready", False)),
    ],
)
def test_the_content_of_an_answer_ends_where_its_head_reports(wire: bytes, found: tuple[bytes, bool]) -> None:
    assert content(wire) == found


def test_an_answer_to_head_has_no_content() -> None:
    assert content(answers.GOOD, method="HEAD") == (b"", True)


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (answers.NEGATIVE_LENGTH, "illegal Content-Length"),
        (answers.SIGNED_LENGTH, "illegal Content-Length"),
        (answers.LENGTH_IN_WORDS, "illegal Content-Length"),
        (answers.LENGTH_BEYOND_ALL, "illegal Content-Length"),
        (answers.TWO_LENGTHS, "illegal Content-Length"),
        (answers.head("Content-Length:"), "illegal Content-Length"),
        (answers.head("Content-Length: ²"), "illegal Content-Length"),
        (answers.UNKNOWN_TRANSFER, "a transfer encoding other than chunked"),
        (answers.head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "a transfer encoding other than"),
        (answers.CHUNK_SIZE_TOO_LARGE, "illegal chunk header"),
        (answers.CHUNK_SIZE_NEGATIVE, "illegal chunk header"),
        (answers.CHUNK_LONGER_THAN_ITS_SIZE, "illegal chunk header"),
        (answers.NUL_IN_VALUE, "illegal header line"),
        (answers.NUL_IN_NAME, "illegal header line"),
        (answers.NO_COLON, "illegal header line"),
        (answers.BLANK_BEFORE_COLON, "illegal header line"),
        (answers.head(" folded: before any"), "illegal header line"),
        (answers.head("X-Bare: a\rb"), "illegal header line"),
        (answers.head("X-Tab: a\vb"), "illegal header line"),
        (answers.STATUS_TOO_SMALL, "illegal status line"),
        (answers.STATUS_TOO_LARGE, "illegal status line"),
        (answers.head(status="HTTP/1.1 099 Low"), "illegal status line"),
        (answers.head(status="HTTP/1.1 200 a\0b"), "illegal status line"),
        (answers.head(status="http/1.1 200 OK"), "illegal status line"),
    ],
)
def test_a_broken_rule_is_named(wire: bytes, message: str) -> None:
    with pytest.raises(MalformedResponse, match=message):
        content(wire)


@pytest.mark.parametrize("wire", [answers.SHORTER_THAN_PROMISED, answers.CHUNKS_WITHOUT_LAST])
def test_an_answer_that_ends_too_early_is_cut_off(wire: bytes) -> None:
    with pytest.raises(IncompleteResponse):
        content(wire)


def test_a_folded_header_is_one_line() -> None:
    assert parse_head(answers.head("X-Folded: a", " b", "\tc")).headers == {"x-folded": "a b c"}


def test_blanks_around_a_value_are_not_part_of_it() -> None:
    assert parse_head(answers.head("X-A:\t a b \t", "X-B:")).headers == {"x-a": "a b", "x-b": ""}


@pytest.mark.parametrize(
    ("status", "lines", "closes"),
    [
        ("HTTP/1.1 200 OK", (), False),
        ("HTTP/1.1 200 OK", ("Connection: Close",), True),
        ("HTTP/1.0 200 OK", (), True),
        ("HTTP/1.0 200 OK", ("Connection: keep-alive",), False),
    ],
)
def test_a_head_reports_whether_the_connection_stays(status: str, lines: tuple[str, ...], closes: bool) -> None:
    assert parse_head(answers.head(*lines, status=status)).closes_connection is closes


@pytest.mark.parametrize("wire", [answers.ONE_HUGE_HEADER, answers.MANY_SMALL_HEADERS, b"x" * (MAX_HEAD + 1)])
def test_a_head_has_a_limit(wire: bytes) -> None:
    with pytest.raises(HeadTooLarge):
        find_head_end(wire)


@pytest.mark.parametrize("wire", [answers.CHUNK_EXTENSION_TOO_LONG, answers.TRAILERS_TOO_LONG])
def test_what_chunks_carry_in_addition_to_the_content_has_a_limit(wire: bytes) -> None:
    end = find_head_end(wire)
    assert end is not None
    with pytest.raises(HeadTooLarge):
        content(wire, tuple(range(1000, len(wire) - end, 1000)))


@given(st.lists(st.integers(0, 60), max_size=8), st.booleans())
def test_it_does_not_matter_how_an_answer_is_cut_into_pieces(cuts: list[int], more: bool) -> None:
    chunked = answers.chunks(b"5\r\nready\r\n3;x=y\r\n, g\r\n1\r\no\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert content(chunked + b"more" * more, tuple(sorted(cuts))) == (b"ready, go", more)


@given(st.integers(0, 200))
def test_the_end_of_a_head_is_found_however_it_arrives(cut: int) -> None:
    wire = answers.FOLDED
    cut = min(cut, len(wire))
    end = find_head_end(wire)
    assert (find_head_end(wire[:cut]) or find_head_end(wire, cut)) == end
