"""Jobs of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scheduler.features.delivery.api_scheduler import define_job
from scheduler.features.jobs.models import JobList, JobSummary
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.runs.remote import RemoteRuns

if TYPE_CHECKING:
    from jobs.definition import JobDefinition


def selection_params(selection: JobSelection) -> dict[str, Any]:
    """Return the parameters of a query for these jobs."""
    return {
        "name": selection.names,
        "kind": selection.kinds,
        "tag": [str(tag) for tag in selection.tags],
        "state": selection.states,
        "outcome": selection.outcomes,
    }


class RemoteJobQueries(RemoteRuns):
    """See JobAndRunQueries: what of it commands call. Jobs are what the API shows of them."""

    async def list_summaries(self, *, limit: int, after: str = "", selection: JobSelection) -> JobList:
        return await self.read(JobList, ("jobs",), limit=limit, after=after, **selection_params(selection))

    async def find_summary(self, name: str) -> JobSummary:
        """Raises UnknownJob."""
        return await self.read(JobSummary, ("jobs", name))

    async def read_definitions(self, selection: JobSelection) -> dict[str, JobDefinition]:
        """Return the definitions in force by name, whatever the latest outcome of their jobs."""
        params = {name: value for name, value in selection_params(selection).items() if name != "outcome"}
        response = await self.send("GET", ("exports", "jobs"), format="json", **params)
        exported = self.parse_json(response)["jobs"]
        return {name: define_job(name, written) for name, written in exported.items()}

    async def read_definition(self, name: str) -> JobDefinition:
        """Raises UnknownJob."""
        response = await self.send("GET", ("jobs", name))
        return define_job(name, self.parse_json(response)["definition"])
