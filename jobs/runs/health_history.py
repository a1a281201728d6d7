"""The state of each entry of a job's health documents or rows, and its last changes. Pure.

    history = update_history(stored, run)     # None: nothing has changed

Called by scheduler.changes.tracking; stored by scheduler.stores.changes. Runs are ordered by due instant and id:
a run that precedes the newest considered one changes nothing, so a repetition is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from jobs.fast_frozen import fast_frozen
from jobs.runs.details import EntryEffect, EntryStatus, HealthDetail, ReportedEntry
from jobs.runs.run import Run

MAX_TRACKED_ENTRIES = 1000
"""Of a job, those that its documents do not have any more included."""
MAX_ENTRY_CHANGES = 20
"""The last changes of an entry, its present state included."""
MAX_CHANGES = 4000
"""Of all entries together: their row is bounded. With more, each has fewer."""


@fast_frozen(frozen=True, slots=True)
class EntryChange:
    """An entry entered a status. `status` None: the document does not have it any more."""

    at: datetime
    status: EntryStatus | None

    @property
    def is_failure(self) -> bool:
        return self.status in (EntryStatus.DEGRADED, EntryStatus.DOWN)


@fast_frozen(frozen=True, slots=True)
class EntryHistory:
    """`entry`: as it was reported when it entered its status. `run`: the id of that run. `changes`: newest first."""

    entry: ReportedEntry
    run: str
    changes: tuple[EntryChange, ...]

    @property
    def present(self) -> EntryChange:
        return self.changes[0]

    def is_missing_since(self, at: datetime) -> bool:
        """Return whether it has been missing since then, or a later instant, and still is."""
        return self.present.status is None and self.present.at >= _in_milliseconds(at)

    def count_failures(self, since: datetime) -> int:
        """Return how often it became degraded or down since an instant, of the changes that are stored."""
        ordered = list(reversed(self.changes))
        earlier = [None, *ordered[:-1]]
        return sum(
            change.is_failure and change.at >= since and not (before is not None and before.is_failure)
            for before, change in zip(earlier, ordered, strict=True)
        )


@fast_frozen(frozen=True, slots=True)
class HealthHistory:
    """`entries`: in the order of the last document that changed one, then those that are missing.

    `latest_due` and `latest_run`: due instant and id of the newest considered run.
    """

    job: str
    entries: tuple[EntryHistory, ...]
    latest_due: datetime
    latest_run: str

    @property
    def present_count(self) -> int:
        """The number of entries that are not missing."""
        return sum(each.present.status is not None for each in self.entries)

    def precedes(self, run: Run) -> bool:
        """Return whether the run is newer than all considered runs."""
        return (self.latest_due, self.latest_run) < (run.due_at, run.id)

    def considering(self, run: Run) -> HealthHistory:
        """Return the same history after a newer run that has not changed it."""
        return replace(self, latest_due=run.due_at, latest_run=run.id) if self.precedes(run) else self


def health_of_run(run: Run) -> HealthDetail | None:
    """Return the document of the last attempt; None for runs without one, and for those that do not show a state."""
    if not run.attempts or (details := run.attempts[-1].details) is None or details.health is None:
        return None
    return details.health if run.counts_for_availability else None


def update_history(history: HealthHistory | None, run: Run) -> HealthHistory | None:
    """Return the history after a run; None if no entry has changed."""
    health = health_of_run(run)
    if health is None or (history is not None and not history.precedes(run)):
        return None
    reported = (*health.entries, *health.rest)
    # A document that was shortened does not show which entries are missing.
    is_complete = health.entry_count <= len(reported)
    entries_by_name = {} if history is None else {each.entry.name: each for each in history.entries}
    is_none_missing = history is not None and (len(reported) == history.present_count or not is_complete)
    if is_none_missing and all(_is_as(entries_by_name, one) for one in reported):
        return None
    at = _in_milliseconds(run.finished_at)
    seen = {entry.name: _seen(entries_by_name.get(entry.name), entry, run.id, at) for entry in reported}
    missing = [
        _missing(each, at) if is_complete else each for name, each in entries_by_name.items() if name not in seen
    ]
    missing.sort(key=lambda each: each.present.at, reverse=True)
    entries = _limit_changes(tuple([*seen.values(), *missing][:MAX_TRACKED_ENTRIES]))
    if history is not None and _states(entries) == _states(history.entries):
        return None
    return HealthHistory(run.job, entries, run.due_at, run.id)


def _in_milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _is_as(entries_by_name: Mapping[str, EntryHistory], entry: ReportedEntry) -> bool:
    """Whether the entry is as it was: so are nearly all of a long document."""
    tracked = entries_by_name.get(entry.name)
    return tracked is not None and tracked.present.status is entry.status and tracked.entry.effect is entry.effect


def _limit_changes(entries: tuple[EntryHistory, ...]) -> tuple[EntryHistory, ...]:
    count = sum(len(each.changes) for each in entries)
    if count <= MAX_CHANGES:
        return entries
    most = max(MAX_CHANGES // len(entries), 1)
    return tuple(each if len(each.changes) <= most else replace(each, changes=each.changes[:most]) for each in entries)


def _states(entries: Iterable[EntryHistory]) -> set[tuple[str, EntryChange, EntryEffect]]:
    return {(each.entry.name, each.present, each.entry.effect) for each in entries}


def _seen(tracked: EntryHistory | None, entry: ReportedEntry, run: str, at: datetime) -> EntryHistory:
    if tracked is None:
        return EntryHistory(entry, run, (EntryChange(at, entry.status),))
    if tracked.present.status is entry.status:
        return tracked if tracked.entry.effect is entry.effect else replace(tracked, entry=entry)
    return EntryHistory(entry, run, _changed(tracked, at, entry.status))


def _missing(tracked: EntryHistory, at: datetime) -> EntryHistory:
    return tracked if tracked.present.status is None else replace(tracked, changes=_changed(tracked, at, None))


def _changed(tracked: EntryHistory, at: datetime, status: EntryStatus | None) -> tuple[EntryChange, ...]:
    # Changes are in order, also those of a run that finished late.
    return (EntryChange(max(at, tracked.present.at), status), *tracked.changes)[:MAX_ENTRY_CHANGES]
