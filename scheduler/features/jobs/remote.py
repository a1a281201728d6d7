"""Jobs of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobs.runs import Ticket, Trigger
from scheduler.errors import NotFound
from scheduler.features.delivery.api_scheduler import define_job
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.jobs.models import ActionReportModel, BackfillModel, JobList, JobSummary
from scheduler.features.jobs.selected_jobs import SelectedJobs
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.jobs.service import BackfillResult
from scheduler.features.runs.remote import RemoteRunQueries
from scheduler.identity.principal import Caller

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


class RemoteJobQueries(RemoteRunQueries):
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
        if any("preset" in written for written in exported.values()):  # whose presets this machine can lack
            response = await self.send("GET", ("exports", "jobs"), format="json", expanded=True, **params)
            exported = self.parse_json(response)["jobs"]
        return {name: define_job(name, written) for name, written in exported.items()}

    async def read_definition(self, name: str) -> JobDefinition:
        """Raises UnknownJob."""
        shown = self.parse_json(await self.send("GET", ("jobs", name)))
        if not isinstance(shown, dict) or not shown.get("in_force", True):
            raise NotFound(f"the stored job {name} is not in force: `versions {name}` lists its versions")
        return define_job(name, shown.get("definition"))


class RemotePauses(RemoteRoom):
    """Pauses and resumes a job, and returns it as the process shows it that did so: others follow within seconds."""

    async def pause(self, name: str, *, until: datetime | None, reason: str) -> JobSummary:
        return await self.change(JobSummary, ("jobs", name, "pause"), {"until": until, "reason": reason})

    async def resume(self, name: str) -> tuple[JobSummary, bool]:
        """Return whether it was paused, too."""
        was_paused = (await self.read(JobSummary, ("jobs", name))).pause is not None
        return await self.change(JobSummary, ("jobs", name, "resume")), was_paused


class RemoteBackfiller(RemoteRoom):
    """See Backfiller."""

    async def backfill(
        self, name: str, since: datetime, until: datetime | None = None, *, caller: Caller, **options: Any
    ) -> BackfillResult:
        body = {"from": since, "to": until, **options}
        done = await self.change(BackfillModel, ("jobs", name, "backfill"), body)
        tickets = tuple(Ticket(run.id, name, Trigger.BACKFILL, run.due_at) for run in done.runs)
        return BackfillResult(tickets, done.already_run, done.skipped)


class RemoteSelectedJobActions(RemoteRoom):
    """See SelectedJobActions."""

    async def pause(
        self, jobs: SelectedJobs, *, until: datetime | None = None, reason: str = "", caller: Caller
    ) -> ActionReportModel:
        return await self._act("pause", jobs, until=until, reason=reason)

    async def resume(self, jobs: SelectedJobs, *, caller: Caller) -> ActionReportModel:
        return await self._act("resume", jobs)

    async def run(self, jobs: SelectedJobs, *, caller: Caller) -> ActionReportModel:
        return await self._act("run", jobs)

    async def delete(self, jobs: SelectedJobs, *, caller: Caller) -> ActionReportModel:
        return await self._act("delete", jobs)

    async def reset_circuits(self, jobs: SelectedJobs, *, reason: str = "", caller: Caller) -> ActionReportModel:
        return await self._act("reset-circuit", jobs, reason=reason)

    async def _act(self, action: str, jobs: SelectedJobs, **members: Any) -> ActionReportModel:
        filters = {f"{name}s": values for name, values in selection_params(jobs.selection).items()}
        page = {"all": jobs.every, "dry_run": jobs.dry_run, "limit": jobs.limit, "continuation": jobs.after or None}
        return await self.change(ActionReportModel, ("jobs", action), {**filters, **page, **members})
