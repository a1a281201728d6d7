"""Which jobs a silence or a maintenance window concerns. Used by the page of maintenance."""

from __future__ import annotations

from jobs.incidents.suppression.windows import SubjectSelector
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.identity.principal import Tags
from scheduler.turns import convert_each

MAX_CACHED_SELECTORS = 2000
"""Of the jobs in force: an open page requests the same ones every few seconds."""


class SuppressionCoverage:
    """Caches the names until the jobs change."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._snapshot: JobSnapshot | None = None
        self._names: dict[tuple[str, Tags], tuple[str, ...]] = {}

    async def list_jobs(self, select: SubjectSelector, limited_to: Tags = ()) -> tuple[str, ...]:
        """Return the names of the jobs that are selected now, in order. `limited_to`: see RequestedWindow."""
        snapshot = self._catalog.snapshot
        if snapshot is not self._snapshot or len(self._names) >= MAX_CACHED_SELECTORS:
            self._snapshot, self._names = snapshot, {}
        key = select.model_dump_json(exclude_defaults=True), limited_to
        names = self._names
        if key not in names:

            def find_name(entry: CatalogJob) -> str:
                job = entry.job
                is_limited = limited_to and not any(job.tags.get(name) == value for name, value in limited_to)
                return "" if is_limited or not select.selects(job.name, job.tags, job.check.kind) else job.name

            names[key] = tuple(sorted(filter(None, await convert_each(find_name, snapshot))))
        return names[key]
