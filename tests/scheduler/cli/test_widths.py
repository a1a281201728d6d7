"""How the columns of a table share a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cli.widths import Column, fitted

NAME, TEXT, SPARE = Column("name"), Column("text", whole=False, least=10), Column("spare", spare=True)


def test_what_fits_is_as_wide_as_it_is() -> None:
    assert fitted((NAME, TEXT, SPARE), (5, 30, 7), 48, 3) == [5, 30, 7]


def test_texts_are_folded_before_anything_is_left_out() -> None:
    assert fitted((NAME, TEXT, SPARE), (5, 30, 7), 40, 3) == [5, 22, 7]


def test_spare_columns_are_left_out_from_the_last_one_on_before_a_text_gets_too_narrow() -> None:
    columns = (NAME, SPARE, TEXT, SPARE)

    assert fitted(columns, (5, 7, 30, 7), 35, 3) == [5, 7, 17, None]
    assert fitted(columns, (5, 7, 30, 7), 25, 3) == [5, None, 17, None]


def test_names_are_broken_only_when_there_is_no_other_way() -> None:
    assert fitted((NAME, TEXT), (20, 30), 33, 3) == [20, 10]
    assert fitted((NAME, TEXT), (20, 30), 23, 3) == [10, 10]


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 60)), min_size=1, max_size=8), st.integers(30, 200)
)
def test_every_table_fits_and_no_column_vanishes_unless_it_is_spare(
    drawn: list[tuple[bool, bool, int]], room: int
) -> None:
    columns = [Column("", whole=whole, spare=spare) for whole, spare, _ in drawn]

    widths = fitted(columns, [natural for *_, natural in drawn], room, 3)

    kept = [width for width in widths if width is not None]
    assert sum(kept) + 3 * (len(kept) - 1) <= room or set(kept) == {1}
    assert all(width is None or 1 <= width <= natural for width, (*_, natural) in zip(widths, drawn, strict=True))
    assert all(width is not None or column.spare for width, column in zip(widths, columns, strict=True))
