"""Finds out since when and why a job is down. Called by scheduler.features.jobs.availability.

A job is down if its newest run that counts is down. Skipped and cancelled runs and backfills do not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.runs import Outcome, Run
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.stores.runs.repository import RunRecord

_MAX_CACHED_OUTAGES = 200
_FIRST, _STEP, _LOOK_BACK = 20, 200, 2000
"""Runs in the first read, in each further read, and in total, to find the start of an outage."""


@dataclass(frozen=True, slots=True)
class Outage:
    """The consecutive runs of a job that are down, up to the newest one.

    `whole`: a run that succeeded precedes them. Otherwise the runs that were read start with the outage.
    `last_checked`: the newest run that contacted the target, which has the cause. None if the circuit rejected all of
    them.
    """

    newest: Run
    oldest: Run
    last_checked: Run | None
    whole: bool

    @property
    def since(self) -> datetime:
        return self.oldest.started_at


class OutageReader:
    """One instance an app, because it caches outages."""

    def __init__(self, queries: JobAndRunQueries) -> None:
        self._queries = queries
        self._known: dict[str, Outage] = {}

    async def find_outage(self, name: str) -> Outage | None:
        """Return the current outage of a job; None if it is not down. Raises StoreError."""
        outage = await self._read_outage(name)
        self._known.pop(name, None)
        if outage is not None:
            self._known[name] = outage  # the next call does not search for its start again
            if len(self._known) > _MAX_CACHED_OUTAGES:
                del self._known[next(iter(self._known))]
        return outage

    async def _read_outage(self, name: str) -> Outage | None:
        """Return the outage of a job; None if it is not down."""
        page = await self._queries.list_runs(job=name, limit=_FIRST)
        outage = _extend_outage(None, page.records)
        if outage is None or outage.whole:
            return outage
        known = self._known.get(name)
        if known is not None and known.newest.due_at >= outage.oldest.due_at:
            # The known outage continues: no run between the two is unread.
            return replace(known, newest=outage.newest, last_checked=outage.last_checked or known.last_checked)
        runs_read = _FIRST
        while not outage.whole and page.continuation is not None and runs_read < _LOOK_BACK:
            page = await self._queries.list_runs(job=name, limit=_STEP, continuation=page.continuation)
            outage = _extend_outage(outage, page.records) or outage
            runs_read += _STEP
        return outage


def _extend_outage(outage: Outage | None, records: Iterable[RunRecord]) -> Outage | None:
    """Extend an outage by older runs, newest first, up to one that succeeded."""
    for record in records:
        run = record.run
        if run is None or not run.counts_for_availability:
            continue
        if not run.outcome.down:
            return outage if outage is None else replace(outage, whole=True)
        last_checked = None if run.outcome is Outcome.REJECTED else run
        if outage is None:
            outage = Outage(run, run, last_checked, whole=False)
        else:
            outage = replace(outage, oldest=run, last_checked=outage.last_checked or last_checked)
    return outage
