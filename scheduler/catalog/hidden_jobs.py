"""Removes what names a job that does not exist for the caller from what is shown of other jobs. Pure.

Called by scheduler.queries, and by scheduler.operations for the runs that they return. The catalog of a
caller without a limit to tags hides nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from jobs.runs import Ticket
from scheduler.catalog.catalog import Catalog
from scheduler.catalog.limited import LimitedCatalog
from scheduler.identity.principal import written_tags
from scheduler.stores.dead_letters.letter import DeadLetter
from scheduler.stores.runs.pages import move_continuation
from scheduler.stores.runs.repository import RunRecord

_NAME_CHARACTERS = "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
"""In the order of their codes."""
_BEFORE_NAMES, _AFTER_NAMES = "!", "~"
"""Sort before and after each character of a name."""


def hide_position(position: str, catalog: Catalog) -> str:
    """Return an equal position in a list of all jobs, ordered by what precedes `@` and the name of a job.

    A page can end with a job that the caller does not see. Then the position moves to just before the next job that it
    sees: nothing visible lies in between, and the list proceeds even if thousands of others do.
    """
    start, separator, job = position.rpartition("@")
    if not separator or catalog.is_visible(job):
        return position
    names = catalog.names()
    following = bisect_right(names, job)
    return f"{start}@{_just_before(names[following]) if following < len(names) else _AFTER_NAMES}"


def hide_continuation(continuation: str | None, catalog: Catalog) -> str | None:
    """Return the continuation of the list of all runs, see `hide_position`."""
    if continuation is None or not isinstance(catalog, LimitedCatalog):
        return continuation
    return move_continuation(continuation, lambda position: hide_position(position, catalog))


def show_run(record: RunRecord | None, catalog: Catalog) -> RunRecord | None:
    """Return the run if its job is visible, without the run that started its chain if the job of that is hidden."""
    if record is None:
        return None
    at = None if record.run is None else record.run.started_at
    return hide_origin(record, catalog) if catalog.is_visible(record.ticket.job, at) else None


def hide_origin(record: RunRecord, catalog: Catalog) -> RunRecord:
    """Return the run of a visible job, see `show_run`."""
    ticket = _hide_origin(record.ticket, catalog)
    return record if ticket is record.ticket else replace(record, ticket=ticket)


def show_letter(letter: DeadLetter | None, catalog: Catalog) -> DeadLetter | None:
    """Return the letter if its job is visible, without its definition if the job had other tags then."""
    if letter is None or not catalog.is_visible(letter.job, letter.at):
        return None
    ticket = None if letter.ticket is None else _hide_origin(letter.ticket, catalog)
    definition = letter.definition if catalog.sees(written_tags(letter.definition)) else None
    if ticket is letter.ticket and definition is letter.definition:
        return letter
    return replace(letter, ticket=ticket, definition=definition)


def _hide_origin(ticket: Ticket, catalog: Catalog) -> Ticket:
    """The correlation id is the id of the run that started the chain, `job@instant`, or comes from a client."""
    job, separator, _ = ticket.correlation_id.rpartition("@")
    return ticket if not separator or catalog.is_visible(job) else replace(ticket, correlation_id=ticket.id)


def _just_before(name: str) -> str:
    """Return a text before the name and after every other name that precedes it."""
    lower = _NAME_CHARACTERS.index(name[-1]) - 1
    return name[:-1] + (_NAME_CHARACTERS[lower] + _AFTER_NAMES if lower >= 0 else _BEFORE_NAMES)
