"""Bodies and responses of the routes that act on all jobs of a selection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from scheduler.api.model_base import Instant, Reason, RequestModel, ResponseModel, example, example_values
from scheduler.api.problems import InvalidInput, InvalidRequest
from scheduler.operations.selected_jobs import MAX_SELECTED_JOBS, ActionReport, ActionResult, JobResult, SelectedJobs
from scheduler.queries.selection import (
    JOB_STATES,
    LATEST_OUTCOMES,
    NAME_FILTER,
    TAG_FILTER,
    InvalidFilter,
    check_kinds,
    parse_selection,
)

_MAX_VALUES = 500
"""Values of one filter."""

_Texts = Annotated[list[str], Field(max_length=_MAX_VALUES)]


def _choices(*values: str) -> dict[str, object]:
    return {"items": {"type": "string", "enum": list(values)}}


class SelectionRequest(RequestModel):
    """Selects jobs as the filters of GET /api/jobs do. Filters are combined with AND.

    `names` can contain * (any text) and ? (one character). `tags`: `key` or `key=value`; a job must have all of them.
    `all` confirms a request without filters. `dry_run` lists the jobs and changes nothing. `continuation`: of the
    previous response, for a selection with more than `limit` jobs.
    """

    model_config = example({"tags": ["team=payments"], "dry_run": True})

    names: Annotated[_Texts, Field(json_schema_extra={"items": {"type": "string", "pattern": NAME_FILTER}})] = []
    kinds: Annotated[_Texts, Field(json_schema_extra=_choices(*check_kinds()))] = []
    tags: Annotated[_Texts, Field(json_schema_extra={"items": {"type": "string", "pattern": TAG_FILTER}})] = []
    states: Annotated[_Texts, Field(json_schema_extra=_choices(*JOB_STATES))] = []
    outcomes: Annotated[_Texts, Field(json_schema_extra=_choices(*LATEST_OUTCOMES))] = []
    all: bool = False
    dry_run: bool = False
    limit: Annotated[int, Field(ge=1, le=MAX_SELECTED_JOBS)] = 100
    continuation: Annotated[str | None, Field(max_length=500)] = None

    def parse(self) -> SelectedJobs:
        """Raises InvalidRequest: a filter is invalid."""
        try:
            selection = parse_selection(
                names=self.names, kinds=self.kinds, tags=self.tags, states=self.states, outcomes=self.outcomes
            )
        except InvalidFilter as error:
            raise InvalidRequest(
                InvalidInput(location=f"body.{error.filter}s", message=error.message, hint=error.hint)
            ) from None
        return SelectedJobs(selection, self.all, self.dry_run, self.limit, self.continuation or "")


class PauseSelectionRequest(SelectionRequest):
    """As SelectionRequest. `until` null: until the jobs are resumed. An instant without an offset is UTC."""

    model_config = example({"tags": ["team=payments"], "until": "2030-01-01T06:00:00Z", "reason": "deployment"})

    until: Instant | None = None
    reason: Reason = ""


class ResetSelectionRequest(SelectionRequest):
    """As SelectionRequest. `reason`: for the audit log."""

    model_config = example({"names": ["checkout-*"], "reason": "the payment provider is back"})

    reason: Reason = ""


class JobResultModel(ResponseModel):
    """What was done to a job, or why not.

    `result`: done, unchanged, refused, failed; selected in a dry run. `code` and `message` are null without a reason.
    `run_id`: of the run that was started.
    """

    model_config = example_values(result="done", code=None, message=None)

    job: str
    result: ActionResult
    code: str | None
    message: str | None
    run_id: str | None

    @classmethod
    def from_result(cls, result: JobResult) -> JobResultModel:
        return cls(
            job=result.job,
            result=result.result,
            code=result.code or None,
            message=result.message or None,
            run_id=result.run_id,
        )


class ActionReportModel(ResponseModel):
    """The jobs by name. `continuation`: send it with the same selection for the next jobs; null if no job is left.

    A response can contain fewer than `limit` jobs. If the store fails in the middle, the last job has `failed`, and
    the continuation repeats it.
    """

    model_config = example_values(continuation=None)

    dry_run: bool
    jobs: list[JobResultModel]
    continuation: str | None

    @classmethod
    def from_report(cls, report: ActionReport, *, dry_run: bool) -> ActionReportModel:
        jobs = [JobResultModel.from_result(result) for result in report.results]
        return cls(dry_run=dry_run, jobs=jobs, continuation=report.continuation)
