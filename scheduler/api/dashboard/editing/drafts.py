"""The route that reads a draft for the editor: its text, its schedule in words, and what it changes.

Called by static/js/editor.js while a person types. It stores nothing; /api/definitions/validate reports what is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse

from jobs.flat import is_flat_job
from jobs.formats.definition_yaml import write_definition
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.declared_routes import JSON_TYPE
from scheduler.api.definitions.routes import MAX_DOCUMENT_BYTES, YAML_TYPE, DefinitionBodyDep
from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep
from scheduler.identity.literals import show_definition
from scheduler.identity.principal import Caller
from scheduler.queries.drafts.reading import DraftProblem, SchedulePreview, parse_draft, preview_schedule
from scheduler.queries.drafts.texts import (
    compare_texts,
    editable_definition,
    file_of_origin,
    restore_numbers,
    write_for_file,
)
from scheduler.queries.stored_jobs import DeclaredJob
from scheduler.services import Services

router = ApiRouter(in_schema=False, by_tag=True)

DraftJob = Annotated[str | None, Query(max_length=100, description="The job with which the draft is compared")]


@router.operate(f"{DASHBOARD_PATH}/drafts", accepts=(JSON_TYPE, YAML_TYPE), max_body=MAX_DOCUMENT_BYTES)
async def read_draft(
    uses: ServicesDep, caller: CallerDep, document: DefinitionBodyDep, job: DraftJob = None
) -> JSONResponse:
    """Return what the editor shows about a draft. The definition with which it is compared is the current one."""
    declared = None if job is None else uses.stored_jobs.find_declared(job, caller)
    base = None if declared is None else _base_of(declared, uses, caller)
    content = await asyncio.to_thread(_describe, document.content, document.is_json, declared, base, uses.clock.now())
    return JSONResponse(content)


def _base_of(declared: DeclaredJob, uses: Services, caller: Caller) -> Mapping[str, Any]:
    definition = editable_definition(declared, uses.queries.current_jobs().find_job(declared.name))
    return show_definition(definition, caller.principal)


def _describe(
    content: bytes, is_json: bool, declared: DeclaredJob | None, base: Mapping[str, Any] | None, now: datetime
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
        "schedule": _show_schedule(preview_schedule(draft, now), draft),
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
