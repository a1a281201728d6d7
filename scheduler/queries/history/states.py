"""The states of a job in a period. Called by scheduler.api.dashboard.jobs.job_charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.runs.states import StateChange
from scheduler.features.statistics.periods import TimeRange
from scheduler.identity.principal import Principal
from scheduler.queries.changes import ChangeFilter, ChangeQueries

MAX_CHANGES_READ = 300
"""The newest changes of a period. Those before are not shown."""


@dataclass(frozen=True, slots=True)
class StateHistory:
    """`changes`: of the period, newest first. `before`: the change that began the state at `since`; None without one.

    `known_since`: the instant from which on the states are known; None: from the beginning of the period on.
    """

    changes: Sequence[StateChange]
    before: StateChange | None
    known_since: datetime | None


async def read_state_history(
    changes: ChangeQueries, principal: Principal, job: str, since: datetime, until: datetime
) -> StateHistory:
    """Return the states of a job. Raises UnknownJob, StoreError."""
    criteria = ChangeFilter(job, at=TimeRange(since, until))
    page = await changes.list_changes(principal, criteria, limit=MAX_CHANGES_READ)
    if page.continuation is not None:
        return StateHistory(page.changes, None, page.changes[-1].at if page.changes else until)
    earlier = await changes.list_changes(principal, ChangeFilter(job, at=TimeRange(None, since)), limit=1)
    before = earlier.changes[0] if earlier.changes else None
    if before is not None:
        return StateHistory(page.changes, before, None)
    oldest = page.changes[-1] if page.changes else None
    return StateHistory(page.changes, None, until if oldest is None else oldest.at)
