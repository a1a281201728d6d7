"""The entries of a job's health documents or rows on its page: the worst first, filtered, a page of them. Pure.

Called by scheduler.features.jobs.job_page, and drawn by templates/job/health.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.runs.details import EntryStatus
from jobs.runs.health_history import EntryHistory, HealthHistory
from scheduler.features.changes.queries import RECENT

ENTRIES_PER_PAGE: Final = 50
NOT_UP: Final = "not_up"
"""The filter of entries that are not up."""
_ORDER = (EntryStatus.DOWN, EntryStatus.DEGRADED, EntryStatus.UNKNOWN, None, EntryStatus.UP)


@dataclass(frozen=True, slots=True)
class BarPart:
    """`place` and `width` in percent of RECENT. `state`: of the entry; empty if the documents did not have it."""

    place: float
    width: float
    state: str


@dataclass(frozen=True, slots=True)
class EntryLine:
    history: EntryHistory
    bar: Sequence[BarPart]


@dataclass(frozen=True, slots=True)
class EntryList:
    """`total`, `not_up`: of all entries; `matching`: of those that the filters select. `query`: their parameters."""

    lines: Sequence[EntryLine]
    total: int
    not_up: int
    matching: int
    page: int
    page_count: int
    search: str
    only: str
    query: Mapping[str, str]


def list_entries(history: HealthHistory, search: str, only: str, page: int, now: datetime) -> EntryList:
    """Return a page of the entries whose names contain `search`. `page`: from 1 on; the last one if it is beyond."""
    entries = sorted(history.entries, key=lambda each: _ORDER.index(each.present.status))
    not_up = [each for each in entries if each.present.status is not EntryStatus.UP]
    part_of_name = search.casefold()
    matching = [each for each in (not_up if only == NOT_UP else entries) if part_of_name in each.entry.name.casefold()]
    page_count = max(-(-len(matching) // ENTRIES_PER_PAGE), 1)
    page = min(max(page, 1), page_count)
    shown = matching[(page - 1) * ENTRIES_PER_PAGE : page * ENTRIES_PER_PAGE]
    lines = [EntryLine(each, list(_draw_bar(each, now))) for each in shown]
    query = {name: value for name, value in (("entry", search), ("entries", only)) if value}
    return EntryList(lines, len(entries), len(not_up), len(matching), page, page_count, search, only, query)


def _draw_bar(history: EntryHistory, now: datetime) -> Iterator[BarPart]:
    """Yield the states of the last days in the order of time; from the first known one on."""
    begin, end = now - RECENT, now
    parts = []
    for change in history.changes:
        start = max(change.at, begin)
        if start < end:
            place, width = (start - begin) / RECENT * 100, (end - start) / RECENT * 100
            parts.append(BarPart(round(place, 2), round(max(width, 0.3), 2), change.status or ""))
        end = min(end, change.at)
    yield from reversed(parts)
