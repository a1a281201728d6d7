"""The routes that list and change incidents."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from jobs.incidents.engine.announcing import MAX_NOTE
from jobs.incidents.values import IncidentStatus
from scheduler.api.negotiation import find_best
from scheduler.api.parameters import TagsParameter, parse_due_range, parse_job_filters, parse_length
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, JobParameter, Limit, ServicesDep
from scheduler.features.incidents.bundle_markdown import render_markdown
from scheduler.features.incidents.bundle_models import IncidentBundle
from scheduler.features.incidents.models import (
    INCIDENT_ID,
    DecisionListModel,
    IncidentDetail,
    IncidentListModel,
    IncidentMemberListModel,
    IncidentSummary,
    TransitionListModel,
)
from scheduler.features.incidents.queries import IncidentFilter
from scheduler.model_base import Instant, Length, RequestModel, example

router = ApiRouter("incidents", by_tag=True)

IncidentId = Annotated[str, Path(max_length=50, description="The incident's id", examples=[INCIDENT_ID])]
OpenedFrom = Annotated[
    str | None,
    Query(
        alias="from",
        max_length=50,
        description="Opened at or after this instant: ISO 8601, UTC without an offset; or a duration before now, 24h",
        examples=["2026-11-25T01:00:00Z"],
    ),
]
OpenedTo = Annotated[
    str | None,
    Query(
        alias="to",
        max_length=50,
        description="Opened at or before this instant, in the same forms",
        examples=["2026-11-25T02:00:00Z"],
    ),
]
Severities = Annotated[
    list[Annotated[str, Field(max_length=100)]],
    Query(max_length=20, description="Severity of the incident, such as down. Repeatable: any of them"),
]
Note = Annotated[str, Field(max_length=MAX_NOTE)]

_BundleFormat = Annotated[
    str | None,
    Query(pattern="^(json|markdown)$", description="`json`, or `markdown`; by default what Accept prefers, else JSON"),
]
_BUNDLE = {200: {"model": IncidentBundle, "content": {"text/markdown": {}}, "description": "The bundle"}}


class NoteRequest(RequestModel):
    """`note`: for the others, with the history of the incident and in the messages of its channels. Not blank."""

    model_config = example({"note": "the database restarts, 5 minutes"})

    note: Note


class HandlingRequest(RequestModel):
    """`note`: as in POST /api/incidents/{incident_id}/notes."""

    model_config = example({"note": "restarting the database"})

    note: Note = ""


class SnoozeRequest(RequestModel):
    """One of `until` and `for` is required. An instant without an offset is UTC."""

    model_config = example({"for": "2h", "note": "the provider works on it"})

    until: Instant | None = None
    length: Length | None = Field(default=None, alias="for")
    note: Note = ""


@router.read("/api/incidents")
async def list_incidents(
    services: ServicesDep,
    status: Annotated[IncidentStatus | None, Query(description="Only open or only resolved ones")] = None,
    severity: Severities = [],  # noqa: B006 - FastAPI copies it for each request
    job: JobParameter = None,
    tag: TagsParameter = [],  # noqa: B006
    since: OpenedFrom = None,
    until: OpenedTo = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> IncidentListModel:
    """List incidents, newest first. `job`: also a group; one of whose alerts is or was a part of the incident.

    Filters are combined with AND; a tag matches if a job of the incident has it. With filters a page can contain fewer
    incidents than `limit`, even none. Only the last page has no continuation.
    """
    selection = parse_job_filters([], [], tag, [], [])
    opened = parse_due_range(since, until, services.clock.now())
    criteria = IncidentFilter(job, status, tuple(severity), selection, opened)
    return await services.incidents.list_summaries(criteria, limit=limit, after=continuation or "")


@router.read("/api/incidents/{incident_id}")
async def get_incident(services: ServicesDep, incident_id: IncidentId) -> IncidentDetail:
    """Return an incident with its worst 50 alerts, its first 50 transitions, and the channels that were notified."""
    return await services.incidents.find(incident_id)


@router.read("/api/incidents/{incident_id}/bundle", response_class=Response, responses=_BUNDLE)
async def get_incident_bundle(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    incident_id: IncidentId,
    format: _BundleFormat = None,
) -> Response:
    """Return an incident to hand over, in at most 40,000 bytes: answer, cause, changes, then the evidence."""
    bundle = await services.incident_reports.read_bundle(caller.principal, incident_id)
    accept = request.headers.get("accept", "")
    is_preferred = find_best(accept, ("text/markdown",)) > find_best(accept, ("application/json",))
    if format == "markdown" or (format is None and is_preferred):
        headers = {"Vary": "Accept", "Content-Disposition": f'attachment; filename="incident-{bundle.id}.md"'}
        return Response(render_markdown(bundle), media_type="text/markdown; charset=utf-8", headers=headers)
    return Response(bundle.model_dump_json(), media_type="application/json", headers={"Vary": "Accept"})


@router.read("/api/incidents/{incident_id}/members")
async def list_members(
    services: ServicesDep, incident_id: IncidentId, limit: Limit = 50, continuation: Continuation = None
) -> IncidentMemberListModel:
    """List the alerts of an incident in the order in which they fired."""
    return await services.incidents.list_members(incident_id, limit=limit, after=continuation or "")


@router.read("/api/incidents/{incident_id}/transitions")
async def list_transitions(
    services: ServicesDep, incident_id: IncidentId, limit: Limit = 50, continuation: Continuation = None
) -> TransitionListModel:
    """List the changes of an incident, oldest first."""
    return await services.incidents.list_transitions(incident_id, limit=limit, after=continuation or "")


@router.read("/api/incidents/{incident_id}/decisions")
async def list_decisions(
    services: ServicesDep, incident_id: IncidentId, limit: Limit = 50, continuation: Continuation = None
) -> DecisionListModel:
    """List why notifications of an incident were sent or not, with the values that decided, oldest first."""
    return await services.incidents.list_decisions(incident_id, limit=limit, after=continuation or "")


@router.operate("/api/incidents/{incident_id}/acknowledge", problems=(HTTPStatus.CONFLICT,))
async def acknowledge_incident(
    services: ServicesDep, caller: CallerDep, incident_id: IncidentId, body: HandlingRequest | None = None
) -> IncidentSummary:
    """Hold back reminders and escalations until the incident is resolved. Its channels are notified of who does it."""
    note = (body or HandlingRequest()).note
    return await services.operations.incidents.acknowledge(incident_id, note=note, caller=caller)


@router.operate("/api/incidents/{incident_id}/snooze", problems=(HTTPStatus.CONFLICT,))
async def snooze_incident(
    services: ServicesDep, caller: CallerDep, incident_id: IncidentId, body: SnoozeRequest
) -> IncidentSummary:
    """Hold back reminders and escalations until an instant or for a time, at most 30 days."""
    return await services.operations.incidents.snooze(
        incident_id, until=body.until, seconds=parse_length(body.length), note=body.note, caller=caller
    )


@router.operate("/api/incidents/{incident_id}/unacknowledge", problems=(HTTPStatus.CONFLICT,))
async def unacknowledge_incident(
    services: ServicesDep, caller: CallerDep, incident_id: IncidentId, body: HandlingRequest | None = None
) -> IncidentSummary:
    """Withdraw the acknowledgement or the snooze. Reminders and escalations that are due are sent.

    An open incident that is neither acknowledged nor snoozed is unchanged.
    """
    note = (body or HandlingRequest()).note
    return await services.operations.incidents.unacknowledge(incident_id, note=note, caller=caller)


@router.operate("/api/incidents/{incident_id}/notes", problems=(HTTPStatus.CONFLICT,))
async def add_incident_note(
    services: ServicesDep, caller: CallerDep, incident_id: IncidentId, body: NoteRequest
) -> IncidentSummary:
    """Add a text to the history of the incident. Its channels receive it."""
    return await services.operations.incidents.add_note(incident_id, body.note, caller=caller)


@router.operate("/api/incidents/{incident_id}/resolve", problems=(HTTPStatus.CONFLICT,))
async def resolve_incident(
    services: ServicesDep, caller: CallerDep, incident_id: IncidentId, body: HandlingRequest | None = None
) -> IncidentSummary:
    """Resolve the incident although its alerts fire. Each of them opens an incident only when it fires anew."""
    note = (body or HandlingRequest()).note
    return await services.operations.incidents.resolve(incident_id, note=note, caller=caller)
