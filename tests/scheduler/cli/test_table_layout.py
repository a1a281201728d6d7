"""How the columns of a table share a terminal."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cli.output import Column, find_line_breaks, fit_columns

NAME, TEXT, SPARE = Column("name"), Column("text", no_wrap=False, min_width=10), Column("spare", is_optional=True)


def test_what_fits_is_as_wide_as_it_is() -> None:
    assert fit_columns((NAME, TEXT, SPARE), (5, 30, 7), (5, 6, 7), 48, 3) == [5, 30, 7]


def test_texts_are_wrapped_before_anything_is_skipped() -> None:
    assert fit_columns((NAME, TEXT, SPARE), (5, 30, 7), (5, 6, 7), 40, 3) == [5, 22, 7]


def test_spare_columns_are_skipped_from_the_last_one_on_before_a_text_gets_too_narrow() -> None:
    columns = (NAME, SPARE, TEXT, SPARE)

    assert fit_columns(columns, (5, 7, 30, 7), (5, 7, 6, 7), 35, 3) == [5, 7, 17, None]
    assert fit_columns(columns, (5, 7, 30, 7), (5, 7, 6, 7), 25, 3) == [5, None, 17, None]


def test_other_columns_are_wrapped_only_when_there_is_no_other_way() -> None:
    assert fit_columns((NAME, TEXT), (20, 30), (9, 6), 33, 3) == [20, 10]
    assert fit_columns((NAME, TEXT), (20, 30), (9, 6), 23, 3) == [10, 10]


def test_a_word_is_never_broken_for_a_table() -> None:
    assert fit_columns((NAME, TEXT), (20, 30), (20, 6), 33, 3) == [20, 10]
    assert fit_columns((NAME, TEXT), (20, 30), (20, 6), 28, 3) is None
    assert fit_columns((NAME, TEXT), (5, 60), (5, 40), 50, 3) == [5, 42]


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 60), st.floats(0, 1)), min_size=1, max_size=8),
    st.integers(30, 200),
)
def test_every_table_fits_without_breaking_a_word_and_no_column_vanishes_unless_it_is_spare(
    drawn: list[tuple[bool, bool, int, float]], room: int
) -> None:
    columns = [Column("", no_wrap=whole, is_optional=spare) for whole, spare, _, _ in drawn]
    natural = [width for _, _, width, _ in drawn]
    words = [max(1, int(width * share)) for _, _, width, share in drawn]

    widths = fit_columns(columns, natural, words, room, 3)

    if widths is None:
        needed = [word for column, word in zip(columns, words, strict=True) if not column.is_optional]
        assert sum(needed) + 3 * (len(needed) - 1) > room
        return
    shown = [width for width in widths if width is not None]
    assert sum(shown) + 3 * (len(shown) - 1) <= room
    for column, width, most, least in zip(columns, widths, natural, words, strict=True):
        assert column.is_optional if width is None else least <= width <= most


@given(st.text(alphabet="ab -/\u00e9", max_size=200), st.integers(1, 40))
def test_a_text_is_broken_at_blanks_alone_and_no_line_is_too_wide_unless_it_is_one_word(text: str, width: int) -> None:
    ends = [0, *find_line_breaks(text, width), len(text)]
    lines = [text[begin:end] for begin, end in pairwise(ends)]

    assert "".join(lines) == text
    assert [word for line in lines for word in line.split()] == text.split()
    assert all(len(line.rstrip()) <= width or len(line.split()) == 1 for line in lines)
