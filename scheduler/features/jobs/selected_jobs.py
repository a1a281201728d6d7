"""Pauses, resumes, runs, deletes and resets the circuits of all jobs of a selection, and reports each result.

Called by scheduler.api and the commands. Each job is changed, and recorded in the audit trail, by its own operation. If
the store fails in the middle, the jobs before it are changed, and the continuation names where to resume.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.problems.findings import did_you_mean, suggest_sorted_name
from scheduler.catalog.catalog import Operation
from scheduler.dispatch.port import DispatchError
from scheduler.errors import InvalidArgument, OperationError, ReadOnlyJob
from scheduler.features.circuits.queries import CircuitQueries
from scheduler.features.jobs.models import ActionReportModel, ActionResult, JobResultModel
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.stored_jobs.service import ANY_VERSION
from scheduler.identity.principal import Caller
from scheduler.operations import Operations, check_reason
from scheduler.stores.port import StoreError

MAX_SELECTED_JOBS = 500
"""Jobs that one call changes."""


@dataclass(frozen=True, slots=True)
class SelectedJobs:
    """A page of a selection. `dry_run`: change nothing. `every`: the caller confirms that it selects all jobs."""

    selection: JobSelection
    every: bool = False
    dry_run: bool = False
    limit: int = MAX_SELECTED_JOBS
    after: str = ""


_Action = Callable[[str], Awaitable[JobResultModel]]


class SelectedJobActions(Operation):
    """Every method raises InvalidArgument, and StoreError or DispatchError if nothing was changed."""

    def __init__(self, queries: JobAndRunQueries, circuits: CircuitQueries, operations: Operations) -> None:
        self._queries = queries
        self._circuits = circuits
        self._operations = operations

    async def pause(
        self, jobs: SelectedJobs, *, until: datetime | None = None, reason: str = "", caller: Caller
    ) -> ActionReportModel:
        """Pause each job, see JobPauser.pause."""

        async def pause(name: str) -> JobResultModel:
            if await self._operations.pauses.pause(name, until=until, reason=reason, caller=caller):
                return _report(name, ActionResult.DONE)
            return _report(
                name, ActionResult.UNCHANGED, "already_paused", "The job is paused with this end and reason."
            )

        return await self._apply(jobs, pause)

    async def resume(self, jobs: SelectedJobs, *, caller: Caller) -> ActionReportModel:
        """End the pause of each job."""

        async def resume(name: str) -> JobResultModel:
            if await self._operations.pauses.resume(name, caller=caller):
                return _report(name, ActionResult.DONE)
            return _report(name, ActionResult.UNCHANGED, "not_paused", "The job is not paused.")

        return await self._apply(jobs, resume)

    async def run(self, jobs: SelectedJobs, *, caller: Caller) -> ActionReportModel:
        """Queue a run of each job."""

        async def run(name: str) -> JobResultModel:
            record = await self._operations.runs.run_now(name, caller=caller)
            return _report(name, ActionResult.DONE, run_id=record.ticket.id)

        return await self._apply(jobs, run)

    async def delete(self, jobs: SelectedJobs, *, caller: Caller) -> ActionReportModel:
        """Delete each stored job, dependents first. Jobs of files are refused, also in a dry run."""
        editor = self._operations.stored_jobs

        async def delete(name: str) -> JobResultModel:
            await editor.delete(name, ANY_VERSION, caller)
            return _report(name, ActionResult.DONE)

        async def check(name: str) -> JobResultModel:
            editor.check_writable(name, caller)
            return _report(name, ActionResult.SELECTED)

        return await self._apply(jobs, delete, check=check, order=self._order_dependents_first)

    async def reset_circuits(self, jobs: SelectedJobs, *, reason: str = "", caller: Caller) -> ActionReportModel:
        """Reset the circuit of each job that has one. A circuit that several jobs share is reset once."""
        check_reason(reason)
        reset: set[str] = set()

        async def reset_circuit(name: str) -> JobResultModel:
            view = (await self._circuits.circuits_of_jobs([name])).get(name)
            if view is None:
                return _report(name, ActionResult.REFUSED, "no_circuit", "The job has no circuit.")
            if view.key in reset:
                return _report(name, ActionResult.DONE, message=f"The circuit {view.key} was reset.")
            if view.is_reset:
                return _report(
                    name, ActionResult.UNCHANGED, "already_closed", "The circuit is closed and has counted no failures."
                )
            await self._operations.circuits.reset(view.key, reason=reason, caller=caller)
            reset.add(view.key)
            return _report(name, ActionResult.DONE)

        return await self._apply(jobs, reset_circuit)

    async def _apply(
        self,
        jobs: SelectedJobs,
        act: _Action,
        *,
        check: _Action | None = None,
        order: Callable[[Sequence[str]], Sequence[str]] | None = None,
    ) -> ActionReportModel:
        """`check`: returns the result of a dry run. `order`: of the jobs, whose results are by name all the same."""
        _check_selection(jobs)
        names, continuation = await self._queries.select_names(jobs.selection, limit=jobs.limit, after=jobs.after)
        results = [] if jobs.after else self._report_unknown_names(jobs.selection)
        if jobs.dry_run:
            checked = [await _act_on(name, check or _select) for name in names]
            return ActionReportModel(dry_run=True, jobs=[*results, *checked], continuation=continuation)
        if order is not None:
            ordered = await _act_on_all(order(names), act)
            results += sorted(ordered, key=lambda result: result.job)
            return ActionReportModel(dry_run=False, jobs=results, continuation=continuation)
        for number, name in enumerate(names):
            try:
                results.append(await _act_on(name, act))
            except (StoreError, DispatchError) as error:
                if number == 0:
                    raise
                results.append(_failed(name, error))
                return ActionReportModel(dry_run=False, jobs=results, continuation=names[number - 1])
        return ActionReportModel(dry_run=False, jobs=results, continuation=continuation)

    def _order_dependents_first(self, names: Sequence[str]) -> Sequence[str]:
        graph, remaining, ordered = self._queries.current_jobs().graph, set(names), list[str]()

        def add(name: str) -> None:
            if name in remaining:
                remaining.remove(name)
                for dependent in graph.dependents(name):
                    add(dependent)
                ordered.append(name)

        for name in names:
            add(name)
        return ordered

    def _report_unknown_names(self, selection: JobSelection) -> list[JobResultModel]:
        current = self._queries.current_jobs()
        missing = [name for name in dict.fromkeys(selection.names) if not set("*?") & set(name) and name not in current]
        return [
            _report(
                name,
                ActionResult.REFUSED,
                "unknown_job",
                f"There is no job named {name!r}{did_you_mean(suggest_sorted_name(name, current.names()))}",
            )
            for name in missing
        ]


def _report(
    job: str, result: ActionResult, code: str | None = None, message: str | None = None, *, run_id: str | None = None
) -> JobResultModel:
    return JobResultModel(job=job, result=result, code=code, message=message, run_id=run_id)


async def _select(name: str) -> JobResultModel:
    return _report(name, ActionResult.SELECTED)


def _failed(name: str, error: Exception) -> JobResultModel:
    return _report(name, ActionResult.FAILED, "unavailable", str(error))


async def _act_on_all(names: Sequence[str], act: _Action) -> list[JobResultModel]:
    """Act in this order. If the store fails, all jobs that are left have failed."""
    results: list[JobResultModel] = []
    for number, name in enumerate(names):
        try:
            results.append(await _act_on(name, act))
        except (StoreError, DispatchError) as error:
            if number == 0:
                raise
            return [*results, *(_failed(rest, error) for rest in names[number:])]
    return results


async def _act_on(name: str, act: _Action) -> JobResultModel:
    try:
        return await act(name)
    except InvalidArgument:
        raise  # it is the same for every job
    except ReadOnlyJob as error:
        return _report(name, ActionResult.REFUSED, "read_only", str(error))
    except OperationError as error:
        return _report(name, ActionResult.REFUSED, "conflict", str(error))
    except LookupError as error:  # the job was removed meanwhile
        return _report(name, ActionResult.REFUSED, "unknown_job", str(error))


def _check_selection(jobs: SelectedJobs) -> None:
    """A forgotten filter must not change every job."""
    if jobs.selection.is_empty and not jobs.every:
        raise InvalidArgument("all", "there is no filter: give names, tags, kinds or states, or confirm all jobs")
    if jobs.every and not jobs.selection.is_empty:
        raise InvalidArgument("all", f"all jobs and a filter exclude each other: {jobs.selection}")
