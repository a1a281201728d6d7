"""How wide each column of a table is on a terminal that may be too narrow for all of them. Pure; used by output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table on a terminal. It is wrapped down to `min_width` characters, with `no_wrap` only as the last
    resort. A narrow terminal omits an optional one. Words are never broken."""

    title: str
    style: str = ""
    align_right: bool = False
    no_wrap: bool = True
    min_width: int = 28
    is_optional: bool = False


def fit_columns(
    columns: Sequence[Column], natural_widths: Sequence[int], word_widths: Sequence[int], available: int, gap: int
) -> list[int | None] | None:
    """Return the width of each column, None for one that is omitted; None if they do not fit without breaking a word.

    `natural_widths`: without wrapping; `word_widths`: those of the longest words; `available`: the width of the table,
    with a `gap` between each two columns.
    """
    widths: list[int | None] = [
        width if column.no_wrap else min(width, max(column.min_width, word))
        for column, width, word in zip(columns, natural_widths, word_widths, strict=True)
    ]
    for place in reversed(range(len(columns))):
        if columns[place].is_optional and _total_width(widths, gap) > available:
            widths[place] = None
    sizes = {place: width for place, width in enumerate(widths) if width is not None}
    left = available - _total_width(widths, gap)
    while left > 0 and (narrow := [place for place in sizes if sizes[place] < natural_widths[place]]):
        sizes[max(narrow, key=lambda place: natural_widths[place] - sizes[place])] += 1
        left -= 1
    while left < 0 and (wide := [place for place in sizes if sizes[place] > word_widths[place]]):
        sizes[max(wide, key=sizes.__getitem__)] -= 1
        left += 1
    return None if left < 0 else [sizes.get(place) for place in range(len(columns))]


def find_line_breaks(text: str, width: int) -> list[int]:
    """Return where each line of the text but the first begins, so that lines are as wide as this at most.

    Lines end at blanks, which do not count. A wider word is a separate line.
    """
    begins: list[int] = []
    begin = 0
    for word in re.finditer(r"\S+", text):
        if word.end() - begin > width and word.start() > begin:
            begin = word.start()
            begins.append(begin)
    return begins


def _total_width(widths: Sequence[int | None], gap: int) -> int:
    shown = [width for width in widths if width is not None]
    return sum(shown) + gap * (len(shown) - 1)
