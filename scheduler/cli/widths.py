"""How wide each column of a table is on a terminal that may be too narrow for all of them. Pure; used by output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """Of a table on a terminal. A `whole` one is broken into lines only when there is no other way, any other one down
    to `least` characters; a `spare` one is left out of a narrow terminal."""

    title: str
    style: str = ""
    right: bool = False
    whole: bool = True
    least: int = 28
    spare: bool = False


def fitted(columns: Sequence[Column], natural: Sequence[int], room: int, gap: int) -> list[int | None]:
    """The width of each column, None for one that is left out. `natural`: what each would take, `room`: what all of
    them may take together, with a `gap` between each two."""
    widths: list[int | None] = [
        width if column.whole else min(width, column.least) for column, width in zip(columns, natural, strict=True)
    ]
    for place in reversed(range(len(columns))):
        if columns[place].spare and _taken(widths, gap) > room:
            widths[place] = None
    sizes = {place: width for place, width in enumerate(widths) if width is not None}
    left = room - _taken(widths, gap)
    while left > 0 and (narrow := [place for place in sizes if sizes[place] < natural[place]]):
        sizes[max(narrow, key=lambda place: natural[place] - sizes[place])] += 1
        left -= 1
    while left < 0 and max(sizes.values()) > 1:
        sizes[max(sizes, key=sizes.__getitem__)] -= 1
        left += 1
    return [sizes.get(place) for place in range(len(columns))]


def _taken(widths: Sequence[int | None], gap: int) -> int:
    kept = [width for width in widths if width is not None]
    return sum(kept) + gap * (len(kept) - 1)
