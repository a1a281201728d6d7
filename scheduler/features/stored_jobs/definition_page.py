"""The pages of a job's definition: /api/dashboard/jobs/{name}/definition with its versions and what each changed, the
editor /api/dashboard/jobs/{name}/edit and /api/dashboard/new-job, and what the editor requests while a person types.

A job that the API stores is saved by PUT /api/jobs/{name}. For a job of a file the editor writes its text and a diff.
A draft is not stored; /api/definitions/validate reports what is wrong with it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from jobs.flat import is_flat_job
from jobs.formats import write_definition
from scheduler.api.dashboard.job_frame import respond_job
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.declared_routes import JSON_TYPE
from scheduler.api.definition_requests import MAX_DOCUMENT_BYTES, YAML_TYPE, DefinitionBodyDep
from scheduler.api.routing import ApiRouter, CallerDep, JobName, ServicesDep
from scheduler.catalog.catalog import UnknownJob
from scheduler.catalog.written_jobs import PresetLibrary
from scheduler.errors import NotFound
from scheduler.features.jobs.queries import JobView
from scheduler.features.jobs.views import describe_definition
from scheduler.features.stored_jobs.drafts import (
    DraftProblem,
    SchedulePreview,
    compare_texts,
    editable_definition,
    file_of_origin,
    parse_draft,
    preview_schedule,
    restore_numbers,
    write_for_file,
)
from scheduler.features.stored_jobs.models import FieldChangeModel, VersionModel
from scheduler.features.stored_jobs.queries import DeclaredJob, StoredJobQueries
from scheduler.identity.literals import show_definition
from scheduler.identity.principal import Caller
from scheduler.services import Services

MAX_VERSIONS: Final = 50
"""Versions listed."""

router = ApiRouter(in_schema=False, by_tag=True)

_VersionNumber = Annotated[int | None, Query(alias="version", ge=1)]
_AgainstNumber = Annotated[int | None, Query(ge=1)]


@dataclass(frozen=True, slots=True)
class VersionHistory:
    """`number` and `against`: the two versions whose `changes` are shown; 0 without another version."""

    versions: Sequence[VersionModel]
    number: int = 0
    against: int = 0
    changes: Sequence[FieldChangeModel] = ()


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}/definition")
async def show_definition_page(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    name: JobName,
    number: _VersionNumber = None,
    against: _AgainstNumber = None,
) -> Response:
    """Show the page. `version`, `against`: the two versions that are compared; the latest two without them."""
    view = await services.queries.view_job(name)
    versions = await _list_versions(services.stored_jobs, name, caller)
    return await respond_job(
        request,
        services,
        view,
        "definition",
        history=await _compare(services.stored_jobs, name, versions, (number, against), caller),
        definition=_definition_text(view, caller),
        written=services.stored_jobs.find_declared(name, caller),
        as_json=_as_json,
    )


async def _list_versions(stored: StoredJobQueries, name: str, caller: Caller) -> Sequence[VersionModel]:
    """Return the versions, the latest first; none of a job of a file."""
    try:
        return (await stored.list_versions(name, caller)).versions
    except (NotFound, UnknownJob):
        return ()


async def _compare(
    stored: StoredJobQueries,
    name: str,
    versions: Sequence[VersionModel],
    given: tuple[int | None, int | None],
    caller: Caller,
) -> VersionHistory:
    """Compare two versions: the given ones, or one with the version before it. Raises NotFound, StoreError."""
    shown = versions[:MAX_VERSIONS]
    if not versions:
        return VersionHistory(())
    number = given[0] or versions[0].number
    earlier = (version.number for version in versions if version.number < number)
    against = given[1] or next(earlier, 0)
    if not against:
        return VersionHistory(shown, number)
    diff = await stored.compare_versions(name, number, against, caller)
    return VersionHistory(shown, number, against, diff.fields)


def _definition_text(view: JobView, caller: Caller) -> str:
    """Return the definition as in GET /api/jobs/{name}, with secrets by name only."""
    return _as_json(describe_definition(view, caller.principal))


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


editor_router = ApiRouter(in_schema=False, by_tag=True)

_NEW_JOB: Final[Mapping[str, Any]] = {"name": "", "schedule": "every 1m", "check": {"kind": "http", "url": ""}}


CopiedJob = Annotated[str | None, Query(max_length=100, description="The job whose definition is copied")]
UsedPreset = Annotated[str | None, Query(max_length=64, description="The preset that the job is made of")]
WatchedUrl = Annotated[str, Query(max_length=2000)]


@editor_router.read(f"{DASHBOARD_PATH}/jobs/{{name}}/edit")
async def edit_job(request: Request, services: ServicesDep, caller: CallerDep, name: JobName) -> Response:
    """Show the editor of a job, also of a stored one that is not in force."""
    declared = _find_declared(name, services, caller)
    definition = _definition_of(name, declared, services, caller)
    return await respond(
        request,
        services,
        "editing/edit.html",
        page="overview",
        name=name,
        definition=json.dumps(definition),
        text=write_definition(definition),
        file=file_of_origin(declared.origin) if declared.version is None else "",
        declared=declared,
        is_limited=services.is_limited,
    )


@editor_router.read(f"{DASHBOARD_PATH}/new-job")
async def create_job_page(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    copy: CopiedJob = None,
    url: WatchedUrl = "",
    preset: UsedPreset = None,
) -> Response:
    """Show the editor of a new job.

    `copy`: with the definition of this one; `url`: with a check of this URL; `preset`: made of this one.
    """
    definition = (
        _NEW_JOB if copy is None else _definition_of(copy, _find_declared(copy, services, caller), services, caller)
    )
    definition = {**definition, "name": ""}
    if preset is not None:
        definition = {"name": "", **services.presets.read_preset(preset).written}
    if url:
        definition["check"] = {"kind": "http", "url": url}
    return await respond(
        request,
        services,
        "editing/edit.html",
        page="overview",
        name="",
        presets=services.presets.list_presets().presets,
        definition=json.dumps(definition),
        text=write_definition(definition),
        file="",
        declared=None,
        is_limited=services.is_limited,
    )


def _find_declared(name: str, services: Services, caller: Caller) -> DeclaredJob:
    declared = services.stored_jobs.find_declared(name, caller)
    if declared is None:
        services.queries.require_job(name)  # names a similar job
        raise UnknownJob(name)
    return declared


def _definition_of(name: str, declared: DeclaredJob, services: Services, caller: Caller) -> Mapping[str, Any]:
    definition = editable_definition(declared, services.queries.current_jobs().find_job(name))
    return show_definition(definition, caller.principal)


drafts_router = ApiRouter(in_schema=False, by_tag=True)

DraftJob = Annotated[str | None, Query(max_length=100, description="The job with which the draft is compared")]


@drafts_router.operate(f"{DASHBOARD_PATH}/drafts", accepts=(JSON_TYPE, YAML_TYPE), max_body=MAX_DOCUMENT_BYTES)
async def read_draft(
    services: ServicesDep, caller: CallerDep, document: DefinitionBodyDep, job: DraftJob = None
) -> JSONResponse:
    """Return what the editor shows about a draft. The definition with which it is compared is the current one."""
    declared = None if job is None else services.stored_jobs.find_declared(job, caller)
    base = None if declared is None else _base_of(declared, services, caller)
    content = await asyncio.to_thread(
        _describe_draft,
        document.content,
        document.is_json,
        declared,
        base,
        services.clock.now(),
        services.stored_jobs.presets,
    )
    return JSONResponse(content)


def _base_of(declared: DeclaredJob, services: Services, caller: Caller) -> Mapping[str, Any]:
    definition = editable_definition(declared, services.queries.current_jobs().find_job(declared.name))
    return show_definition(definition, caller.principal)


def _describe_draft(
    content: bytes,
    is_json: bool,
    declared: DeclaredJob | None,
    base: Mapping[str, Any] | None,
    now: datetime,
    presets: PresetLibrary,
) -> dict[str, Any]:
    draft = parse_draft(content, is_json=is_json)
    if isinstance(draft, DraftProblem):
        return {"problem": {"message": draft.message, "line": draft.line}}
    if base is not None:
        draft = restore_numbers(draft, base)
    is_of_file = declared is not None and declared.version is None
    file = file_of_origin(declared.origin) if declared is not None and is_of_file else ""
    after = write_for_file(draft, file)
    before = "" if base is None else write_for_file(base, file)
    names = _name_sides(declared, file)
    return {
        "problem": None,
        "document": draft,
        "is_flat": is_flat_job(draft),
        "text": write_definition(draft),
        "file_text": after,
        "diff": compare_texts(before, after, *names) if base is not None else "",
        "schedule": _show_schedule(preview_schedule(draft, now, presets), draft),
        "current": None if declared is None else _show_current(declared, base),
    }


def _name_sides(declared: DeclaredJob | None, file: str) -> tuple[str, str]:
    if file:
        return f"a/{file.lstrip('/')}", f"b/{file.lstrip('/')}"
    origin = "" if declared is None else f"{declared.name} ({declared.origin})"
    return origin, "draft"


def _show_schedule(preview: SchedulePreview, draft: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "english": preview.english,
        "zone": preview.zone,
        "problem": preview.problem,
        "enabled": draft.get("enabled") is not False,
        "instants": [{"utc": due.isoformat(), "local": local} for due, local in preview.instants],
    }


def _show_current(declared: DeclaredJob, base: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"etag": declared.etag, "version": declared.version, "document": base}
