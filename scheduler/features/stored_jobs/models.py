"""Request and response models of declared jobs, their versions and differences, and of sets and their plans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from pydantic_core import to_json

from jobs.definition import NAME_PATTERN
from jobs.problems import Problem
from scheduler.features.stored_jobs.queries import DeclaredJob, FieldChange, SetPage, SetSummary
from scheduler.model_base import RequestModel, ResponseModel, example
from scheduler.stores.stored_jobs.tree import JobVersion

if TYPE_CHECKING:
    from scheduler.features.stored_jobs.sets import JobDifference, SetPlan


class DuplicateRequest(RequestModel):
    """`name`: of the copy. `patch`: a JSON merge patch (RFC 7396) of its definition; null removes a key."""

    model_config = example({"name": "reports-api-eu", "patch": {"check": {"url": "https://eu.reports.example.com/"}}})

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    patch: dict[str, Any] = {}


class DefinitionProblem(ResponseModel):
    """`path`: the key of the definition, such as `check.url`; in a set `jobs.checkout-api.check.url`."""

    path: str
    message: str
    hint: str | None = None

    @classmethod
    def from_problem(cls, problem: Problem) -> DefinitionProblem:
        return cls(path=problem.key, message=problem.message, hint=problem.hint or None)


class DeclaredJobModel(ResponseModel):
    """A job as it was declared, without its state.

    `definition`: as the user wrote it; of a job file, with the file's defaults. `version` null: defined in a job file,
    which `source` names. `owner`: the set that it belongs to, empty for a job that was made by hand. `problems`: the
    reasons if `in_force` is false; else channels, severities and parents of its alerts that do not exist. `etag`: for
    If-Match.
    """

    name: str
    definition: dict[str, Any]
    version: int | None
    owner: str
    in_force: bool
    problems: list[DefinitionProblem]
    source: str
    etag: str
    url: str

    @classmethod
    def from_declared(cls, job: DeclaredJob) -> DeclaredJobModel:
        return cls(
            name=job.name,
            definition=dict(job.definition),
            version=job.version,
            owner=job.owner,
            in_force=job.is_in_force,
            problems=[DefinitionProblem.from_problem(problem) for problem in job.problems],
            source=job.origin,
            etag=job.etag,
            url=f"/api/jobs/{job.name}",
        )


class DeclaredJobList(ResponseModel):
    """By name. `continuation` fetches the next page; null on the last one."""

    jobs: list[DeclaredJobModel]
    continuation: str | None


class VersionModel(ResponseModel):
    """A version of a definition. `definition` null: the job was deleted. `by`: the principal that made it."""

    number: int
    at: datetime
    by: str
    owner: str
    comment: str
    definition: dict[str, Any] | None
    url: str

    @classmethod
    def from_version(cls, version: JobVersion) -> VersionModel:
        return cls(
            number=version.number,
            at=version.at,
            by=version.by,
            owner=version.owner,
            comment=version.comment,
            definition=None if version.definition is None else dict(version.definition),
            url=f"/api/jobs/{version.name}/versions/{version.number}",
        )


class VersionList(ResponseModel):
    """The latest first. `retained`: the number of versions that the store retains of a job at most."""

    versions: list[VersionModel]
    retained: int


class FieldChangeModel(ResponseModel):
    """A field that differs. `path`: such as `check.url`; null: not set."""

    path: str
    before: Any
    after: Any

    @classmethod
    def from_change(cls, change: FieldChange) -> FieldChangeModel:
        return cls(path=change.path, before=change.before, after=change.after)


class VersionDiff(ResponseModel):
    """What changed from the version `against` to the version `number`, in the full form."""

    number: int
    against: int
    fields: list[FieldChangeModel]


class SetModel(ResponseModel):
    """A set of stored jobs. `jobs`: their number. `changed_at`: when one of them was last written."""

    owner: str
    jobs: int
    changed_at: datetime

    @classmethod
    def from_summary(cls, summary: SetSummary) -> SetModel:
        return cls(owner=summary.owner, jobs=summary.jobs, changed_at=summary.changed_at)


class SetList(ResponseModel):
    """By owner. `generation`: counts the changes of all stored jobs. `continuation`: null on the last page."""

    sets: list[SetModel]
    generation: int
    continuation: str | None

    @classmethod
    def from_page(cls, page: SetPage) -> SetList:
        sets = [SetModel.from_summary(summary) for summary in page.sets]
        return cls(sets=sets, generation=page.generation, continuation=page.continuation)


class JobDifferenceModel(ResponseModel):
    """A job that a set adds, changes or removes, with its next ten due instants before and after."""

    name: str
    fields: list[FieldChangeModel]
    next_before: list[datetime]
    next_after: list[datetime]

    @classmethod
    def from_difference(cls, one: JobDifference) -> JobDifferenceModel:
        return cls(
            name=one.name,
            fields=[FieldChangeModel.from_change(change) for change in one.fields],
            next_before=list(one.next_before),
            next_after=list(one.next_after),
        )


class ReasonModel(ResponseModel):
    """`name`: of a job or a secret. `reason`: why it is a conflict, denied or unavailable."""

    name: str
    reason: str


class SetPlanModel(ResponseModel):
    """The changes of a set. `plan_id` confirms them in apply; `applied`: whether they were made.

    `unchanged`: the number of jobs that stay as they are declared. `conflicts`: jobs of files, of another set, or made
    by hand; a set with one cannot be applied. `denied_targets` and `unavailable_secrets` do not prevent it.
    """

    plan_id: str
    owner: str
    applied: bool
    added: list[JobDifferenceModel]
    changed: list[JobDifferenceModel]
    removed: list[JobDifferenceModel]
    unchanged: int
    conflicts: list[ReasonModel]
    denied_targets: list[ReasonModel]
    unavailable_secrets: list[DefinitionProblem]
    warnings: list[DefinitionProblem]

    @classmethod
    def from_plan(cls, plan: SetPlan) -> SetPlanModel:
        return cls(
            plan_id=plan.id,
            owner=plan.owner,
            applied=plan.is_applied,
            added=list(map(JobDifferenceModel.from_difference, plan.added)),
            changed=list(map(JobDifferenceModel.from_difference, plan.changed)),
            removed=list(map(JobDifferenceModel.from_difference, plan.removed)),
            unchanged=plan.unchanged,
            conflicts=[ReasonModel(name=name, reason=reason) for name, reason in plan.conflicts.items()],
            denied_targets=[ReasonModel(name=name, reason=reason) for name, reason in plan.review.denied.items()],
            unavailable_secrets=[DefinitionProblem.from_problem(problem) for problem in plan.review.secrets],
            warnings=[DefinitionProblem.from_problem(problem) for problem in plan.review.warnings],
        )


def serialize_plan(plan: SetPlan) -> bytes:
    """Return the JSON of the plan's model. For a thread.

    The differences are serialized one by one, and removed from the plan: to serialize or to free 10,000 at once would
    occupy the interpreter, also for the event loop.
    """
    rest = SetPlanModel.from_plan(replace(plan, added=[], changed=[], removed=[]))
    parts: list[bytes] = []
    for name in SetPlanModel.model_fields:
        differences = {"added": plan.added, "changed": plan.changed, "removed": plan.removed}.get(name)
        if differences is None:
            text = to_json(getattr(rest, name))
        else:
            text = b"[%s]" % b",".join(map(_serialize_difference, _take_all(differences)))
        parts.append(b'"%s":%s' % (name.encode(), text))
    return b"{%s}" % b",".join(parts)


def _serialize_difference(one: JobDifference) -> bytes:
    return to_json(JobDifferenceModel.from_difference(one))


def _take_all(differences: list[JobDifference]) -> Iterator[JobDifference]:
    differences.reverse()
    while differences:
        yield differences.pop()
