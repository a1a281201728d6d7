"""How every command speaks: results on stdout, errors and notes on stderr; tables on a terminal, tabs in a pipe.

A table is fitted to a terminal that may be too narrow for all of its columns. rich is imported only where a terminal
shows it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import typer

from jobs.formats import escape_controls

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


__all__ = [
    "EXIT_BAD_INPUT",
    "EXIT_CHANGES",
    "EXIT_FAILED",
    "Cell",
    "Column",
    "create_console",
    "escape_controls",
    "fail",
    "is_terminal",
    "print_error",
    "print_note",
    "show_json",
    "show_table",
    "show_tabs",
    "show_text",
]


EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_CHANGES = 3
"""Of `plan` if `apply` would change something."""

Cell = str | tuple[str, str]
"""A text, or a text and its rich style."""

_EDGE_WIDTH, _COLUMN_GAP = 2, 3
"""Characters that a table takes in addition to its columns, and between two of them."""


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


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def create_console() -> Console:
    """Stdout with rich, which respects NO_COLOR and TERM."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False)


def show_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, title: str = "") -> None:
    """A table for a person, as wide as the terminal at most. Where words would have to be broken, each row is a record:
    its first cell, and below it a line for each other one."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    screen = create_console()
    cells = [[_styled(cell) for cell in row] for row in rows]
    texts = [[escape_controls(text) for text, _ in row] for row in cells]
    natural = [max(map(cell_len, (column.title, *shown))) for column, *shown in zip(columns, *texts, strict=True)]
    words = [max(map(_longest_word, (column.title, *shown))) for column, *shown in zip(columns, *texts, strict=True)]
    widths = fit_columns(columns, natural, words, screen.width - _EDGE_WIDTH, _COLUMN_GAP)
    if widths is None:
        _show_records(columns, cells, title)
        return
    table = Table(
        box=box.SIMPLE_HEAD, title=Text(escape_controls(title)) if title else None, title_justify="left", pad_edge=False
    )
    for column, width in zip(columns, widths, strict=True):
        justify = "right" if column.align_right else "left"
        if width is not None:
            table.add_column(
                column.title,
                style=column.style,
                justify=justify,  # type: ignore[arg-type]
                width=width,
                overflow="fold",
            )
    for row, shown in zip(cells, texts, strict=True):
        visible = zip(shown, row, widths, strict=True)
        table.add_row(*(Text(text, style) for text, (_, style), width in visible if width is not None))
    screen.print(table)


def _longest_word(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split()), default=0)


def _show_records(columns: Sequence[Column], rows: Iterable[Sequence[tuple[str, str]]], title: str) -> None:
    from rich.text import Text

    if title:
        show_text(Text(escape_controls(title), "italic"))
    shown = [place for place, column in enumerate(columns) if not column.is_optional or place == 0]
    width = max((len(columns[place].title) for place in shown[1:]), default=0)
    for row in rows:
        first, *others = shown
        name = f"{columns[first].title} {row[first][0]}" if columns[first].align_right else row[first][0]
        show_text(Text(escape_controls(name), row[first][1] or columns[first].style))
        for place in others:
            text, style = row[place]
            if text:
                head = f"  {columns[place].title.ljust(width)}  "
                show_text(Text(escape_controls(text), style or columns[place].style), head)


def show_text(text: Text, head: str = "") -> None:
    """A text for a person, wrapped at blanks; a word that is longer than a line stays whole, so that it can be copied.

    `head`: stands before the first line; the others are indented by its width.
    """
    from rich.text import Text

    screen = create_console()
    for number, line in enumerate(text.divide(find_line_breaks(text.plain, screen.width - len(head)))):
        line.rstrip()
        screen.print(Text(" " * len(head) if number else head) + line, soft_wrap=True)


def _styled(cell: Cell) -> tuple[str, str]:
    return (cell, "") if isinstance(cell, str) else cell


def show_tabs(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Lines for a program: the names, then a row a line, separated by tabs."""
    print("\t".join(names))
    for row in rows:
        print("\t".join(map(escape_controls, row)))


def show_json(text: str) -> None:
    """Print a JSON text. Control characters inside its strings are JSON escapes, so that a terminal shows them."""
    print("".join(c if c == "\n" or c.isprintable() else _json_escape(c) for c in text))


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def _escape_lines(text: str) -> str:
    return "\n".join(map(escape_controls, text.split("\n")))


def print_note(text: str) -> None:
    """Print a note about the result on stderr."""
    _to_stderr(_escape_lines(text), "2")


def print_warning(text: str) -> None:
    """What is likely to go wrong later, on stderr."""
    _to_stderr(escape_controls(text), "33")


def print_error(text: str) -> None:
    """What is wrong, on stderr. Several lines are several errors."""
    _to_stderr(_escape_lines(text), "31")


def fail(text: str, code: int = EXIT_BAD_INPUT) -> NoReturn:
    """Say what is wrong and end the command."""
    print_error(text)
    raise typer.Exit(code)


def _to_stderr(text: str, colour: str) -> None:
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    print(f"\x1b[{colour}m{text}\x1b[0m" if coloured else text, file=sys.stderr)


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
    free = available - _total_width(widths, gap)
    while free > 0 and (narrow := [place for place in sizes if sizes[place] < natural_widths[place]]):
        sizes[max(narrow, key=lambda place: natural_widths[place] - sizes[place])] += 1
        free -= 1
    while free < 0 and (wide := [place for place in sizes if sizes[place] > word_widths[place]]):
        sizes[max(wide, key=sizes.__getitem__)] -= 1
        free += 1
    return None if free < 0 else [sizes.get(place) for place in range(len(columns))]


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
