"""What a page of all jobs shows, as its URL defines it: filters, order, groups, window of time, page number.

Called by scheduler.api.dashboard.overview.overview_page and scheduler.api.dashboard.overview.wall_page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import Query

from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.dependencies import parse_choice
from scheduler.api.routes.filters import parse_job_filters
from scheduler.queries.overview.selecting import OverviewCriteria, SortOrder
from scheduler.queries.overview.spans import TimeWindow
from scheduler.queries.overview.summaries import Standing

WALL_PATH: Final = f"{DASHBOARD_PATH}/wall"
CHANGED: Final = "1h"
MAX_TAGS: Final = 10

# The fields of a form that are not filled in are empty.
TextParameter = Annotated[str, Query(max_length=100)]
StandingParameter = Annotated[str, Query(max_length=40)]
TagParameters = Annotated[list[str], Query(max_length=MAX_TAGS)]
KindParameter = Annotated[str, Query(max_length=40)]
ValueParameter = Annotated[str, Query(max_length=200)]
ChangedParameter = Annotated[Literal["", "1h"], Query()]
SortParameter = Annotated[SortOrder, Query()]
WindowParameter = Annotated[TimeWindow, Query()]
PageParameter = Annotated[int, Query(ge=1, le=100_000)]


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


def create_view(
    *,
    q: str,
    state: str,
    tag: Sequence[str],
    kind: str,
    owner: str,
    changed: str,
    sort: SortOrder = SortOrder.STATE,
    group: str = "",
    span: TimeWindow = TimeWindow.HOURS_24,
    page: int = 1,
) -> OverviewView:
    """Return the view of these parameters. Raises InvalidRequest: an unknown state or kind, or a tag without a name."""
    given = [each for each in tag if each]
    selection = parse_job_filters([], [kind] if kind else [], given, [], [])
    standing = Standing(parse_choice("state", state, tuple(Standing))) if state else None
    criteria = OverviewCriteria(q.strip(), standing, selection.tags, kind, owner, changed == CHANGED, sort)
    return OverviewView(criteria, group, span, page)
