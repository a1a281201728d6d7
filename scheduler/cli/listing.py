"""What commands that list or change something share: one way to read all pages, to show a list, and to act.

A list is shown as JSON that the API serves, as a table on a terminal, or as tabs in a pipe.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from scheduler.cli.context import run_operation
from scheduler.cli.output import (
    Cell,
    Column,
    escape_controls,
    is_terminal,
    print_note,
    show_json,
    show_table,
    show_tabs,
)

if TYPE_CHECKING:
    from scheduler.identity.principal import Caller
    from scheduler.model_base import ListModel, ResponseModel
    from scheduler.operations import Operations

T = TypeVar("T")
ListT = TypeVar("ListT", bound="ListModel[Any]")

PAGE_SIZE = 200
_MAX_SIZE = 500


@dataclass(frozen=True, slots=True)
class Field(Generic[T]):
    """A field of a list: its name in a pipe, the text of an item, and its column on a terminal.

    `name`: empty for a field that only a terminal gets. `column`: None for a field that only a pipe gets. `cell`: what
    a terminal shows in place of the text.
    """

    name: str
    text: Callable[[T], str]
    column: Column | None = None
    cell: Callable[[T], Cell] | None = None


async def read_all(read_page: Callable[[str], Awaitable[ListT]]) -> ListT:
    """Return all pages of a list as one. `read_page`: gets the continuation of the page before, empty at first."""
    first = page = await read_page("")
    items = list(first.items)
    while page.next_page is not None:
        page = await read_page(page.next_page)
        items += page.items
    return first.model_copy(update={first.items_field(): items, "continuation": None})


async def read_newest(read_page: Callable[[str, int], Awaitable[ListT]], limit: int) -> ListT:
    """Return the first `limit` items of a list as one page. `read_page`: gets a continuation, as in read_all, and a
    size."""
    first = page = await read_page("", min(_MAX_SIZE, limit))
    items = list(first.items)
    while page.next_page is not None and len(items) < limit:
        page = await read_page(page.next_page, min(_MAX_SIZE, limit - len(items)))
        items += page.items
    return first.model_copy(update={first.items_field(): items, "continuation": None})


def show_list(
    listed: ListModel[T], fields: Sequence[Field[T]], *, as_json: bool, empty: str, header: bool = False
) -> None:
    """Show a list. `empty`: a note for a person if it has no items; empty: none.

    `header`: a terminal shows the titles of the columns also if it has no items; a pipe always gets them.
    """
    if as_json:
        show_model(listed)
        return
    if empty and not listed.items:
        print_note(empty)
    show_items(listed.items, fields, is_empty_shown=header)


def show_items(items: Sequence[T], fields: Sequence[Field[T]], *, is_empty_shown: bool = False) -> None:
    """Show items as tabs in a pipe, or as a table on a terminal. `is_empty_shown`: a table without rows, too."""
    if not is_terminal():
        piped = [field for field in fields if field.name]
        show_tabs([field.name for field in piped], [[field.text(item) for field in piped] for item in items])
    elif items or is_empty_shown:
        shown = [(field.column, field.cell or field.text) for field in fields if field.column is not None]
        show_table([column for column, _ in shown], [[cell(item) for _, cell in shown] for item in items])


def show_model(model: ResponseModel) -> None:
    """Print as JSON what the API serves."""
    show_json(model.model_dump_json(indent=2, by_alias=True))


def act(
    command: str, work: Callable[[Operations, Caller], Awaitable[T]], sentence: str = "", *, listing_hint: str = ""
) -> T:
    """Do the work of this command as its user, and print the sentence. Errors: see run_operation."""
    from scheduler.identity.principal import command_caller

    result = run_operation(
        command, lambda program: work(program.operations, command_caller()), listing_hint=listing_hint
    )
    if sentence:
        print(escape_controls(sentence))
    return result
