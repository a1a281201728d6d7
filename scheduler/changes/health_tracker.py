"""Records the changes of the entries of health documents. Called by scheduler.worker.publishing.

A run without a health document costs nothing. The history of a job is read with its first document, and again once it
is older than REREAD_INTERVAL, because another process may have written it: then a change is recorded that much later,
but never lost.
"""

from __future__ import annotations

from jobs.ports import Clock
from jobs.runs import Run
from jobs.runs.health_history import health_of_run, update_history
from scheduler.stores.changes import HealthHistories, StoredHealthHistory
from scheduler.stores.port import RowChanged, RowExists, StoreError

REREAD_INTERVAL = 60.0
"""Seconds."""
MAX_WRITE_CONFLICTS = 10


class HealthTracker:
    """The method raises StoreError."""

    def __init__(self, histories: HealthHistories, clock: Clock) -> None:
        self._histories = histories
        self._clock = clock
        self._known: dict[str, tuple[StoredHealthHistory | None, float]] = {}
        """By job: its history, and the monotonic instant at which it was read or written."""

    async def record_run(self, run: Run) -> None:
        """Record the entries that a finished run has changed. A repetition changes nothing."""
        if health_of_run(run) is None:
            return
        for _ in range(MAX_WRITE_CONFLICTS):
            stored = await self._read(run.job)
            history = update_history(None if stored is None else stored.history, run)
            if history is None:
                if stored is not None:
                    _, read_at = self._known[run.job]
                    considered = StoredHealthHistory(stored.history.considering(run), stored.etag)
                    self._known[run.job] = considered, read_at
                return
            try:
                written = await self._histories.write(history, "" if stored is None else stored.etag)
            except (RowExists, RowChanged):
                self._known.pop(run.job, None)
                continue
            except StoreError:
                self._known.pop(run.job, None)  # it is unknown whether the history was stored
                raise
            self._known[run.job] = written, self._clock.monotonic()
            return
        raise StoreError(
            f"could not record the health entries of job {run.job}: other processes changed them "
            f"{MAX_WRITE_CONFLICTS} times"
        )

    async def _read(self, job: str) -> StoredHealthHistory | None:
        now = self._clock.monotonic()
        known = self._known.get(job)
        if known is not None and now < known[1] + REREAD_INTERVAL:
            return known[0]
        stored = await self._histories.read(job)
        self._known[job] = stored, now
        return stored
