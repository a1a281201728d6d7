"""The routes that read the audit trail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Query
from starlette.responses import StreamingResponse

from scheduler.api.parameters import parse_due_range
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, JobParameter, Limit, ServicesDep
from scheduler.features.audit.models import AuditHeadModel, AuditList
from scheduler.features.audit.queries import AuditFilter

router = ApiRouter("audit", by_tag=True)

EXPORT_TYPE = "application/x-ndjson"
_LINES_A_CHUNK = 100

PrincipalParameter = Annotated[
    str | None,
    Query(max_length=200, description="Only entries of this caller, `api_key:deploy` or `deploy`", examples=["deploy"]),
]
ActionParameter = Annotated[
    str | None,
    Query(max_length=100, description="Only this action, `job.pause`, or those of a subject, `job`", examples=["job"]),
]
SinceParameter = Annotated[
    str | None,
    Query(
        alias="from",
        max_length=50,
        description="Entries at or after this instant: ISO 8601, UTC without an offset; or a duration before now, 24h",
        examples=["2026-11-25T01:00:00Z"],
    ),
]
UntilParameter = Annotated[
    str | None,
    Query(
        alias="to",
        max_length=50,
        description="Entries at or before this instant, in the same forms",
        examples=["2026-11-25T02:00:00Z"],
    ),
]


@router.read("/api/audit")
async def list_audit_entries(
    services: ServicesDep,
    caller: CallerDep,
    principal: PrincipalParameter = None,
    action: ActionParameter = None,
    job: JobParameter = None,
    since: SinceParameter = None,
    until: UntilParameter = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> AuditList:
    """List the audit trail, newest first. Filters are combined with AND.

    A caller that is limited to tags sees the entries of its jobs. Entries about access (refused requests, keys,
    sessions) are for admins. With filters a page can hold fewer entries than `limit`; only the last one has no
    continuation.
    """
    at = parse_due_range(since, until, services.clock.now())
    criteria = AuditFilter(principal, action, job, at)
    return await services.audit_queries.list_entries(caller.principal, criteria, limit=limit, continuation=continuation)


@router.read("/api/audit/head", by_tag=False)
async def get_audit_head(services: ServicesDep) -> AuditHeadModel:
    """Return the number and the hash of the last entry: store it elsewhere, and verify the trail with it later."""
    return await services.audit_queries.read_head()


@router.read(
    "/api/audit/export",
    response_class=StreamingResponse,
    responses={200: {"description": "The entries, oldest first", "content": {EXPORT_TYPE: {}}}},
)
async def export_audit_entries(
    services: ServicesDep, caller: CallerDep, since: SinceParameter = None, until: UntilParameter = None
) -> StreamingResponse:
    """Export the audit trail as JSON lines, oldest first, for `audit verify --file`.

    An admin without a limit to tags gets the whole chain; other callers the entries that they see.
    """
    at = parse_due_range(since, until, services.clock.now())
    chunks = _in_chunks(services.audit_queries.export(caller.principal, at))
    # The first chunk before the response starts: a store that is unavailable is answered with 503.
    first = await anext(chunks, "")

    async def body() -> AsyncIterator[str]:
        yield first
        async for chunk in chunks:
            yield chunk

    headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(body(), media_type=EXPORT_TYPE, headers=headers)


async def _in_chunks(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    chunk: list[str] = []
    async for line in lines:
        chunk.append(f"{line}\n")
        if len(chunk) == _LINES_A_CHUNK:
            yield "".join(chunk)
            chunk = []
    if chunk:
        yield "".join(chunk)
