"""The catalog of a caller that is limited to tags: other jobs do not exist in it. Called by scheduler.services."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from scheduler.catalog.catalog import Catalog, JobSnapshot, Operation, Query
from scheduler.identity.principal import Principal

if TYPE_CHECKING:
    from scheduler.catalog.visible_since import VisibleFrom

_QUERIES = "scheduler.queries"
_LIMITED_PACKAGES = ("scheduler.operations", _QUERIES)
"""Packages whose objects are limited without the base class."""

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
        """See Catalog.is_visible. What happened before the job had a tag of the principal is not visible."""
        if job is None or job not in self:
            return False
        return at is None or at >= (self.begin_of(job) or at)

    def begin_of(self, job: str) -> datetime | None:
        """See Catalog.begin_of."""
        found = self.visible_since.get(job)
        return None if found is None else found.at

    def has_hidden_past(self, job: str) -> bool:
        """See Catalog.has_hidden_past."""
        found = self.visible_since.get(job)
        return found is not None and found.has_hidden_past

    def hides(self, name: str) -> bool:
        """See Catalog.hides."""
        return name in self._whole and name not in self

    def sees(self, tags: Mapping[str, str]) -> bool:
        """See Catalog.sees."""
        return self._principal.sees(tags)

    def shares_circuit(self, key: str) -> bool:
        """See Catalog.shares_circuit."""
        return key in self._circuits_of_others


def limit_part(part: T, catalog: Catalog) -> T:
    """Return a copy of a query or an operation that uses this catalog, with the queries and operations that it uses.

    The repositories of queries read no past of other tags. Any other part is shared: it is returned unchanged.
    """
    is_limited = isinstance(part, Query | Operation) or type(part).__module__.startswith(_LIMITED_PACKAGES)
    if not is_limited or not hasattr(part, "__dict__"):
        return part
    limited = copy(part)
    for name, value in vars(part).items():
        setattr(limited, name, _limit_value(part, value, catalog))
    return limited


def _limit_value(part: object, value: object, catalog: Catalog) -> object:
    from scheduler.catalog.visible_past import limit_past  # which imports the repositories

    if isinstance(value, Catalog):
        return catalog
    is_query = isinstance(part, Query) or type(part).__module__.startswith(_QUERIES)
    if is_query and type(value) not in getattr(part, "HIDES_ITSELF", ()):
        value = limit_past(value, catalog)
    return limit_part(value, catalog)
