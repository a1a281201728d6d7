"""The page /api/dashboard/maintenance: windows and silences in force, planned and over, and the forms of new ones.

The preview of a draft is a GET with the fields of its form, so that it needs no script. Registered by
scheduler.api.dashboard.pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.incidents.suppression_list import read_suppressions
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import MAINTENANCE_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep
from scheduler.queries.alerting.window_texts import WindowPreview, describe_recurrence, preview_window
from scheduler.services import Services

_LONGEST_FIELD: Final = 500
_TEXTS: Final = ("for", "from", "until", "reason", "change_id", "effect")
_FORMS: Final = ("silence", "window", "recurring")

router = ApiRouter(in_schema=False, by_tag=True, accepts_unknown_query=True)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a user has entered. `form`: one of _FORMS, or empty; then nothing else is set."""

    form: str
    fields: Mapping[str, str]
    preview: WindowPreview | None = None
    recurrence: str = ""
    jobs: tuple[str, ...] = ()


@router.read(MAINTENANCE_PATH)
async def show_maintenance(request: Request, uses: ServicesDep, caller: CallerDep) -> Response:
    """Show the page. `show=ended`: with what is over. `form`: with the preview of a draft."""
    ended = request.query_params.get("show") == "ended"
    draft = await _read_draft(request, uses)
    return await respond(
        request,
        uses,
        "maintenance.html",
        page="maintenance",
        lists=await read_suppressions(uses, caller.principal, ended=ended),
        ended=ended,
        draft=draft,
        zone=find_preferences(request).zone_name,
    )


async def _read_draft(request: Request, uses: Services) -> Draft:
    fields = {name: value.strip()[:_LONGEST_FIELD] for name, value in request.query_params.items()}
    form = fields.get("form", "")
    if form not in _FORMS:
        return Draft("", {})
    preview = preview_window(_to_definition(fields), uses.clock.now())
    window = preview.window
    if window is None:
        return Draft(form, fields, preview)
    principal = request.scope["state"]["principal"]
    jobs = await uses.suppression_coverage.list_jobs(window.select, principal.tags)
    return Draft(form, fields, preview, describe_recurrence(window), jobs)


def _to_definition(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the keys of job files, as static/js/actions.js makes them of the same form."""
    found: dict[str, Any] = {name: fields[name] for name in _TEXTS if fields.get(name)}
    if "until" in found:
        found.pop("for", None)
    if fields.get("timezone"):
        found["timezone"] = fields["timezone"]
    if fields.get("schedule.cron"):
        zone = fields.get("schedule.timezone")
        found["schedule"] = {"cron": fields["schedule.cron"], **({"timezone": zone} if zone else {})}
    found["select"] = _read_selector(fields)
    return found


def _read_selector(fields: Mapping[str, str]) -> dict[str, Any]:
    select: dict[str, Any] = {
        name: fields[f"select.{name}"].replace(",", " ").split()
        for name in ("jobs", "severities")
        if fields.get(f"select.{name}")
    }
    tags: dict[str, list[str]] = {}
    for each in fields.get("select.tags", "").replace(",", " ").split():
        key, _, value = each.partition("=")
        tags.setdefault(key, []).append(value or "*")
    if tags:
        select["tags"] = tags
    if "select.all" in fields:
        select["all"] = True
    return select
