"""The jobs of a view: which of them its page shows, in which groups, and what the filters offer. Pure.

Called by scheduler.api.dashboard.overview.overview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.api.dashboard.overview.view import OverviewView
from scheduler.queries.overview.selecting import (
    OWNER_TAG,
    JobGroup,
    group_summaries,
    list_tags,
    select_summaries,
    sort_summaries,
)
from scheduler.queries.overview.summaries import OverviewJob, Standing, count_standings

JOBS_PER_PAGE: Final = 100
MAX_OFFERED_TAGS: Final = 200
"""Tags with their values that the filter suggests."""


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """The jobs of a group that are on this page. `counts`: of the whole group; `value`: empty without groups, too."""

    value: str
    total: int
    counts: Mapping[Standing, int]
    jobs: Sequence[OverviewJob]


@dataclass(frozen=True, slots=True)
class OverviewSelection:
    """`total`: jobs of all pages; `before`: of earlier ones. `counts`: by state of those that the other filters select.

    `is_sorted`: False if there are too many jobs for the order by latency.
    """

    groups: Sequence[ShownGroup]
    total: int
    before: int
    counts: Mapping[Standing, int]
    is_sorted: bool = True

    @property
    def names(self) -> list[str]:
        """The jobs of this page, in their order."""
        return [job.name for group in self.groups for job in group.jobs]

    @property
    def shown(self) -> int:
        return sum(len(group.jobs) for group in self.groups)

    @property
    def matching(self) -> int:
        """The number of jobs that match all filters but the one by state."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class FilterChoices:
    """What the filters offer. `tags`: as `team=payments`; `keys`: the tags by which jobs can be grouped."""

    kinds: Sequence[str]
    keys: Sequence[str]
    tags: Sequence[str]
    owners: Sequence[str]


def select_page(
    summaries: Sequence[OverviewJob],
    view: OverviewView,
    now: datetime,
    latencies: Mapping[str, float] | None = None,
    size: int = JOBS_PER_PAGE,
) -> OverviewSelection:
    """Return the page of a view. `latencies`: by job; None if they are unknown."""
    matching = select_summaries(summaries, view.criteria, now, any_standing=True)
    standing = view.criteria.standing
    selected = [each for each in matching if standing is None or each.standing is standing]
    ordered = sort_summaries(selected, view.criteria.order, latencies)
    groups = group_summaries(ordered, view.group) if view.group else [JobGroup("", ordered)]
    last = max(0, len(ordered) - 1) // size
    before = min(view.page - 1, last) * size
    return OverviewSelection(_cut(groups, before, size), len(ordered), before, count_standings(matching))


def list_choices(summaries: Sequence[OverviewJob]) -> FilterChoices:
    tags = list_tags(summaries)
    offered = [f"{key}={value}" for key in sorted(tags) for value in sorted(tags[key])]
    kinds = sorted({each.entry.job.check.kind for each in summaries})
    return FilterChoices(kinds, sorted(tags), offered[:MAX_OFFERED_TAGS], sorted(tags.get(OWNER_TAG, ())))


def _cut(groups: Sequence[JobGroup], before: int, size: int) -> list[ShownGroup]:
    """Return the groups with the jobs from number `before` on."""
    found: list[ShownGroup] = []
    begin = 0
    for group in groups:
        jobs = group.summaries[max(0, before - begin) : max(0, before + size - begin)]
        if jobs:
            found.append(ShownGroup(group.value, len(group.summaries), count_standings(group.summaries), jobs))
        begin += len(group.summaries)
    return found
