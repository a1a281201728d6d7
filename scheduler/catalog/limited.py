"""What a caller that is limited to tags sees: a catalog in which other jobs do not exist, and runs, letters and
positions without their names. The catalog of any other caller hides nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from scheduler.catalog.catalog import Catalog, JobSnapshot, Operation, Query
from scheduler.identity.principal import Principal, written_tags
from scheduler.stores.runs.pages import move_continuation

if TYPE_CHECKING:
    from jobs.runs import Ticket
    from scheduler.features.stored_jobs.queries import VisibleFrom
    from scheduler.stores.dead_letters import DeadLetter
    from scheduler.stores.runs.repository import RunRecord

T = TypeVar("T")


class LimitedCatalog(Catalog):
    """The jobs of a snapshot that a principal sees. A later snapshot needs another object."""

    def __init__(self, whole: JobSnapshot, principal: Principal) -> None:
        seen = [entry for entry in whole if principal.sees(entry.job.tags)]
        super().__init__(JobSnapshot(seen, whole.loaded_at, whole.digest, whole.alerting))
        self._principal = principal
        self.visible_since: Mapping[str, VisibleFrom] = {}
        """Since when stored jobs have had a tag of the principal, once it is read, see VisibleSince."""
        self.has_past = False
        self._whole = whole
        self._circuits_of_others = {
            entry.job.circuit_key for entry in whole if entry.job.circuit_key and not principal.sees(entry.job.tags)
        }

    def is_visible(self, job: str | None, at: datetime | None = None) -> bool:
        """Return whether what is stored of a job may be shown.

        What happened before the job had a tag of the principal must not be shown.
        """
        if job is None or job not in self:
            return False
        return at is None or at >= (self.begin_of(job) or at)

    def begin_of(self, job: str) -> datetime | None:
        """Return the instant from which what is stored of a job may be shown; None: all of it."""
        found = self.visible_since.get(job)
        return None if found is None else found.at

    def has_hidden_past(self, job: str) -> bool:
        """Return whether a stored job had tags before that the principal does not see."""
        found = self.visible_since.get(job)
        return found is not None and found.has_hidden_past

    def hides(self, name: str) -> bool:
        """Return whether a job of this name exists that has no tag of the principal."""
        return name in self._whole and name not in self

    def sees(self, tags: Mapping[str, str]) -> bool:
        """Return whether a job with these tags would have one of the principal."""
        return self._principal.sees(tags)

    def shares_circuit(self, key: str) -> bool:
        """Return whether a circuit belongs to jobs that the principal does not see as well."""
        return key in self._circuits_of_others


def limit_part(part: T, catalog: Catalog) -> T:
    """Return a copy of a query or an operation that uses this catalog, with the queries and operations that it uses.

    The repositories of queries read no past of other tags. Any other part is shared: it is returned unchanged.
    """
    if not isinstance(part, Query | Operation):
        return part
    limited = copy(part)
    for name, value in vars(part).items():
        setattr(limited, name, _limit_value(part, value, catalog))
    return limited


def _limit_value(part: object, value: object, catalog: Catalog) -> object:
    from scheduler.catalog.visible_past import limit_past  # which imports the repositories

    if isinstance(value, Catalog):
        return catalog
    if isinstance(part, Query) and type(value) not in getattr(part, "HIDES_ITSELF", ()):
        value = limit_past(value, catalog)
    return limit_part(value, catalog)


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
