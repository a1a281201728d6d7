"""What operations on silences and windows have in common: which jobs they select, and their limits.

Called by scheduler.operations.alerting.silences and scheduler.operations.alerting.windows.

What a caller that is limited to tags creates concerns only jobs that have one of these tags, whatever it selects
(jobs.incidents.suppression.finding). It sees and changes only what is limited so (Principal.manages).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobs.incidents.suppression.windows import AlertSubject, SubjectSelector
from scheduler.catalog.catalog import Catalog
from scheduler.errors import Conflict
from scheduler.stores.port import RowChanged

MAX_CURRENT_SUPPRESSIONS = 1000
"""Silences, and windows, that have not ended: each pass of the engine considers all of them."""


def select_jobs(catalog: Catalog, selector: SubjectSelector) -> tuple[str, ...]:
    """Return the names of the jobs of a catalog that are selected, by name. Severities do not matter."""
    return tuple(
        sorted(
            entry.job.name
            for entry in catalog.snapshot
            if selector.matches_any_severity_of(AlertSubject(entry.job.name, entry.job.check.kind, "", entry.job.tags))
        )
    )


@asynccontextmanager
async def conflict_if_changed(what: str) -> AsyncIterator[None]:
    """Turn RowChanged into Conflict. `what`: such as `the silence`."""
    try:
        yield
    except RowChanged:
        raise Conflict(f"{what} was changed by another request at the same time: retry") from None
