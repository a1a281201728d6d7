"""Refuses changes after which too many jobs are stored. Pure; called by scheduler.operations.stored_jobs.committing.

A store may have more jobs than the limits of today allow: only growth is refused. A change is judged by the jobs that
it replaces as a whole, so that concurrent changes cannot exceed a limit together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scheduler.catalog.composition import StoredJob
from scheduler.errors import Conflict
from scheduler.identity.principal import Caller, Tags, format_tag_limits


@dataclass(frozen=True, slots=True)
class StoredJobLimits:
    """`total`: of stored jobs. `per_tag`: of those with one of the tags that limit the caller."""

    total: int = 10_000
    per_tag: int = 1000

    def refuse_growth(self, before: Mapping[str, StoredJob], after: Mapping[str, StoredJob], caller: Caller) -> None:
        """Raises Conflict: the change adds jobs beyond a limit."""
        tags = caller.principal.tags
        known, new = _count_by_tag(before.values(), tags), _count_by_tag(after.values(), tags)
        for tag, count in new.items():
            if count > max(self.per_tag, known[tag]):
                (text,) = format_tag_limits((tag,))
                what = f"stored jobs with the tag {text}"
                raise Conflict(_describe(what, known[tag], count, self.per_tag, "stored_jobs.limit_per_tag"))
        if len(after) > max(self.total, len(before)):
            if tags:  # how many jobs others have does not exist for the caller
                raise Conflict(f"the limit of {self.total} stored jobs of all teams is reached (stored_jobs.limit)")
            raise Conflict(_describe("stored jobs", len(before), len(after), self.total, "stored_jobs.limit"))


def _count_by_tag(jobs: Iterable[StoredJob], tags: Tags) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    if tags:
        for one in jobs:
            if one.located is not None:
                found.update(tag for tag in tags if one.located.job.tags.get(tag[0]) == tag[1])
    return found


def _describe(what: str, before: int, after: int, limit: int, setting: str) -> str:
    hint = f"delete jobs, or raise the setting {setting}"
    return f"there are {before} {what}, the change would make {after}, and the limit is {limit}: {hint}"
