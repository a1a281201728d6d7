"""What a page of all jobs shows, as its URL defines it: filters, order, groups, window of time, page number.

Routes depend on FilteredView or OrderedView. Called by scheduler.api.dashboard.overview and
scheduler.api.dashboard.editing.selection_page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query

from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.routes.filters import parse_job_filters
from scheduler.api.routing import parse_choice
from scheduler.queries.overview.selecting import OverviewCriteria, SortOrder
from scheduler.queries.overview.spans import TimeWindow
from scheduler.queries.overview.summaries import Standing

WALL_PATH: Final = f"{DASHBOARD_PATH}/wall"
CHANGED: Final = "1h"
MAX_TAGS: Final = 10

# The fields of a form that are not filled in are empty.
_ValueParameter = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class OverviewView:
    """`group`: the tag by whose values the jobs are grouped; empty: not at all. `page`: from 1."""

    criteria: OverviewCriteria
    group: str = ""
    window: TimeWindow = TimeWindow.HOURS_24
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        return replace(self.criteria, order=SortOrder.STATE) != OverviewCriteria()

    @property
    def filter_count(self) -> int:
        """How many fields of the menu of filters differ from their defaults."""
        criteria = self.criteria
        given = (criteria.standing, criteria.kind, criteria.owner, criteria.has_changed, self.group)
        return sum(map(bool, given)) + len(criteria.tags) + (criteria.order is not SortOrder.STATE)

    def path(self, base: str = DASHBOARD_PATH, **changes: Any) -> str:
        """Return the URL path of this view with changes of its parameters: `view.path(state="down")`.

        It shows the first page unless `page` is given.
        """
        criteria = self.criteria
        values: dict[str, str | Sequence[str]] = {
            "q": criteria.text,
            "state": criteria.standing or "",
            "tag": [str(tag) for tag in criteria.tags],
            "kind": criteria.kind,
            "owner": criteria.owner,
            "changed": CHANGED if criteria.has_changed else "",
            "sort": "" if criteria.order is SortOrder.STATE else criteria.order,
            "group": self.group,
            "span": "" if self.window is TimeWindow.HOURS_24 else self.window,
        }
        values |= changes
        query = urlencode({name: value for name, value in values.items() if value}, doseq=True)
        return f"{base}?{query}" if query else base


async def read_filters(
    q: Annotated[str, Query(max_length=100)] = "",
    state: Annotated[str, Query(max_length=40)] = "",
    tag: Annotated[list[str], Query(max_length=MAX_TAGS)] = [],  # noqa: B006 - FastAPI copies it for each request
    kind: Annotated[str, Query(max_length=40)] = "",
    owner: _ValueParameter = "",
    changed: Annotated[Literal["", "1h"], Query()] = "",
) -> OverviewView:
    """Return the view of these filters. Raises InvalidRequest: an unknown state or kind, or a tag without a name."""
    given = [each for each in tag if each]
    selection = parse_job_filters([], [kind] if kind else [], given, [], [])
    standing = Standing(parse_choice("state", state, tuple(Standing))) if state else None
    return OverviewView(OverviewCriteria(q.strip(), standing, selection.tags, kind, owner, changed == CHANGED))


FilteredView = Annotated[OverviewView, Depends(read_filters)]


async def read_view(
    filtered: FilteredView,
    sort: Annotated[SortOrder, Query()] = SortOrder.STATE,
    group: _ValueParameter = "",
    span: Annotated[TimeWindow, Query()] = TimeWindow.HOURS_24,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> OverviewView:
    """Return the view of all parameters."""
    return OverviewView(replace(filtered.criteria, order=sort), group, span, page)


OrderedView = Annotated[OverviewView, Depends(read_view)]
