"""How every command speaks: results on stdout, errors and notes on stderr; tables on a terminal, tabs in a pipe.

rich is imported only where a terminal shows it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

FAILED = 1
BAD_INPUT = 2

Cell = str | tuple[str, str]
"""A text, or a text and its rich style."""


@dataclass(frozen=True, slots=True)
class Column:
    """Of a table on a terminal. A `whole` one is never broken into lines."""

    title: str
    style: str = ""
    right: bool = False
    whole: bool = True


def on_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def console() -> Console:
    """Stdout with rich, which respects NO_COLOR and TERM."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False)


def show_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, title: str = "") -> None:
    """A table for a person."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=Text(title) if title else None, title_justify="left", pad_edge=False)
    for column in columns:
        justify = "right" if column.right else "left"
        table.add_column(
            column.title,
            style=column.style,
            justify=justify,  # type: ignore[arg-type]
            no_wrap=column.whole,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(clean(cell)) if isinstance(cell, str) else Text(clean(cell[0]), cell[1]) for cell in row))
    console().print(table)


def show_tabs(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Lines for a program: the names, then a row a line, separated by tabs."""
    print("\t".join(names))
    for row in rows:
        print("\t".join(map(clean, row)))


def clean(text: str) -> str:
    """The text on one line. What a terminal would act upon is escaped: targets have a say in some texts."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def note(text: str) -> None:
    """Something to know beside the result, on stderr."""
    _to_stderr(text, "2")


def error(text: str) -> None:
    """What is wrong, on stderr. Several lines are several errors."""
    _to_stderr("\n".join(map(clean, text.splitlines())), "31")


def fail(text: str, code: int = BAD_INPUT) -> NoReturn:
    """Say what is wrong and end the command."""
    error(text)
    raise typer.Exit(code)


def _to_stderr(text: str, colour: str) -> None:
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    print(f"\x1b[{colour}m{text}\x1b[0m" if coloured else text, file=sys.stderr)
