"""The pages of the audit trail: who changed what, when and from where, at /api/dashboard/audit, and of one entry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import Path, Request
from fastapi.responses import Response

from scheduler.api.dashboard.rendering.filters import (
    PAGE_SIZE,
    FilterText,
    PeriodDep,
    PeriodFilter,
    keep_filters,
    offer_jobs,
)
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import AUDIT_PATH
from scheduler.api.problems import ApiError
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, ServicesDep
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.audit.models import AuditEntryModel, AuditList
from scheduler.features.audit.queries import AuditFilter, show_entry
from scheduler.features.stored_jobs.queries import FieldChange, compare_definitions
from scheduler.identity.principal import Caller
from scheduler.services import Services

_SHOWN_CHANGES: Final = 8
"""Fields of an entry that the list shows."""
_SHOWN_VALUE: Final = 200
"""Characters of a value that the list shows."""
_MAX_CHANGES: Final = 500
"""Fields that the page of an entry shows."""
# fmt: off
_SUBJECTS: Final = (
    "access", "api_key", "channel", "circuit", "dead_letter", "definition", "incident", "job", "jobs", "notification",
    "run", "secret", "session", "set", "silence", "trail", "window",
)
"""What the field of actions offers."""
# fmt: on

router = ApiRouter(in_schema=False)

EntryNumber = Annotated[int, Path(ge=1, le=10**12)]


@router.read(AUDIT_PATH)
async def show_audit_trail(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    period: PeriodDep,
    principal: FilterText = "",
    action: FilterText = "",
    job: FilterText = "",
    continuation: Continuation = None,
) -> Response:
    """Show a page of entries, newest first, and the head of the chain."""
    query = keep_filters(principal=principal.strip(), action=action.strip(), job=job.strip())
    listed, error = await _read_entries(services, caller, query, period, continuation or None)
    return await respond(
        request,
        services,
        "operations/audit.html",
        page="audit",
        path_of_page=AUDIT_PATH,
        principal=principal.strip(),
        action_filter=action.strip(),
        job=job.strip(),
        subjects=_SUBJECTS,
        names=offer_jobs(services.queries),
        period=period,
        entries=listed.entries,
        continuation=listed.continuation,
        changes_of=lambda entry: list_changes(entry, _SHOWN_CHANGES, _SHOWN_VALUE),
        trail=await services.audit_queries.read_head(),
        error=error,
        query=query | keep_filters(since=period.since, until=period.until),
        api_query=query | period.api_query,
        is_first=not continuation,
    )


@router.read(f"{AUDIT_PATH}/{{number}}")
async def show_audit_entry(request: Request, services: ServicesDep, caller: CallerDep, number: EntryNumber) -> Response:
    """Show an entry with all that it contains."""
    # A page that continues after the next entry starts with this one.
    page = await services.audit_queries.list_views(
        caller.principal, AuditFilter(), limit=1, continuation=str(number + 1)
    )
    if not page.entries or page.entries[0].number != number:
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            f"There is no entry {number}, or it is not visible to you; the setting audit.age deletes old entries.",
        )
    entry = show_entry(page.entries[0])
    return await respond(
        request,
        services,
        "operations/audit_entry.html",
        page="audit",
        path_of_page=AUDIT_PATH,
        entry=entry,
        changes=list_changes(entry, _MAX_CHANGES, 10_000),
        line=json.dumps(json.loads(page.entries[0].line), indent=2, ensure_ascii=False),
    )


def list_changes(entry: AuditEntryModel, limit: int, length: int) -> tuple[Sequence[FieldChange], bool]:
    """Return the fields that differ, their values as text of at most `length`, and whether there are more."""
    before, after = entry.before or {}, entry.after or {}
    changes = [
        FieldChange(change.path, _to_text(change.before, length), _to_text(change.after, length))
        for change in islice(compare_definitions(before, after), limit + 1)
    ]
    return changes[:limit], len(changes) > limit


def _to_text(value: Any, length: int) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= length else f"{text[:length]}..."


async def _read_entries(
    services: Services, caller: Caller, query: Mapping[str, str], period: PeriodFilter, continuation: str | None
) -> tuple[AuditList, str]:
    """Return the entries, and what is wrong with a filter."""
    none = AuditList(entries=[], continuation=None)
    if period.error:
        return none, period.error
    criteria = AuditFilter(query.get("principal"), query.get("action"), query.get("job"), period.period)
    try:
        listed = await services.audit_queries.list_entries(
            caller.principal, criteria, limit=PAGE_SIZE, continuation=continuation
        )
    except UnknownJob as error:
        text = str(error)
        return none, f"{text[0].upper()}{text[1:]}"
    return listed, ""
