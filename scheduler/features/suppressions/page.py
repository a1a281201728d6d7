"""The page /api/dashboard/maintenance: windows and silences in force, planned and over, and the forms of new ones.

The preview of a draft is a GET with the fields of its form, so that it needs no script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from jobs.formats import format_duration, format_iso_instant
from jobs.incidents.suppression.periods import PeriodDefinition
from jobs.incidents.suppression.spans import Span
from jobs.incidents.suppression.windows import (
    MaintenanceWindow,
    RequestedWindow,
    Silence,
    SubjectSelector,
    WindowEffect,
)
from jobs.model_base import FILE_CONTEXT
from jobs.problems import validation_problems
from jobs.schedules.explanations import explain_schedule
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import MAINTENANCE_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep
from scheduler.features.suppressions.models import SilenceModel, WindowModel
from scheduler.features.suppressions.queries import DefinedWindowView, SuppressionState, SuppressionView
from scheduler.identity.principal import Principal
from scheduler.services import Services

MAX_PREVIEWED = 5
"""Periods of a draft."""
_TIME_KEYS = ("from", "schedule", "weekly", "calendar")
_DRAFT_NAME = "draft"


@dataclass(frozen=True, slots=True)
class WindowPreview:
    """`window`: None if the draft is invalid; then `problems` are sentences about it. `spans`: its next periods."""

    window: MaintenanceWindow | None = None
    problems: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


def preview_window(definition: Mapping[str, Any], now: datetime) -> WindowPreview:
    """Return what a window with the keys of job files would be. Without a time it begins now."""
    given = {"name": _DRAFT_NAME, **definition}
    if not any(key in given for key in _TIME_KEYS):
        given["from"] = format_iso_instant(now, precise=True)
    try:
        window = MaintenanceWindow.model_validate(given, context=FILE_CONTEXT)
    except ValidationError as error:
        return WindowPreview(problems=tuple(str(each) for each in validation_problems(error, MaintenanceWindow)))
    spans = tuple(islice(window.periods.spans_from(now), MAX_PREVIEWED))
    problems = () if spans else ("the window has no time after now: write a later one",)
    return WindowPreview(window, problems, spans)


def describe_recurrence(period: PeriodDefinition) -> str:
    """Return when it recurs, such as `Sundays at 02:00 Europe/Berlin, for 3h`; empty for a single period."""
    length = f", for {format_duration(period.for_)}" if period.for_ else ""
    if period.schedule is not None:
        return f"{explain_schedule(period.schedule)}{length}"
    if period.weekly is not None:
        spec = dict(period.weekly.spec)
        days = f"{spec['days']} " if "days" in spec else ""
        end = f" to {spec['to']}" if "to" in spec else ""
        return f"each week {days}{spec['from']}{end}{length} ({period.zone.name})"
    return f"whole days of a calendar ({period.zone.name})" if period.calendar is not None else ""


def describe_selector(select: SubjectSelector) -> str:
    """Return its conditions, such as `jobs checkout-*, tags team: payments, severities down`."""
    severities = f"severities {' or '.join(select.severities)}" if select.severities else ""
    others = "" if severities and not (select.jobs or select.tags or select.kinds) else str(select)
    return ", ".join(filter(None, (others, severities)))


MAX_LISTED = 200
"""Silences, and requested windows, that have not ended."""
MAX_ENDED = 50
"""Of each kind."""


@dataclass(frozen=True, slots=True)
class SuppressionEntry:
    """`call`: the path of the API, empty for a window of a job file, whose place is `origin`. `recreate`: the body that
    creates it anew. `jobs`: those that it concerns now.
    """

    kind: str
    name: str
    state: SuppressionState
    begins_at: datetime | None
    ends_at: datetime | None
    scope: str
    recurrence: str
    jobs: tuple[str, ...]
    reason: str
    change_id: str = ""
    author: str = ""
    origin: str = ""
    pauses: bool = False
    only_then: bool = False
    limited_to: str = ""
    call: str = ""
    recreate: dict[str, Any] | None = None

    @property
    def holds_back(self) -> bool:
        """Return whether it holds notifications back now."""
        return (self.state is SuppressionState.ACTIVE) is not self.only_then


@dataclass(frozen=True, slots=True)
class SuppressionLists:
    """`ended`: the newest first. `is_cut`: more exist than were read."""

    active: tuple[SuppressionEntry, ...]
    pending: tuple[SuppressionEntry, ...]
    ended: tuple[SuppressionEntry, ...]
    is_cut: bool


async def read_suppressions(uses: Services, principal: Principal, *, ended: bool) -> SuppressionLists:
    """Return the windows and silences that have not ended. `ended`: those that have, in addition. Raises StoreError."""
    queries = uses.suppressions
    windows, silences = await asyncio.gather(
        queries.list_windows(principal, limit=MAX_LISTED), queries.list_silences(principal, limit=MAX_LISTED)
    )
    entries = [await _from_defined(uses, each) for each in queries.list_defined_windows()]
    entries += [await _from_window(uses, each) for each in windows.found]
    entries += [await _from_silence(uses, each) for each in silences.found]
    over = [each for each in entries if each.state is SuppressionState.ENDED]
    if ended:
        older_windows, older_silences = await asyncio.gather(
            queries.list_ended_windows(principal, MAX_ENDED), queries.list_ended_silences(principal, MAX_ENDED)
        )
        over += [await _from_window(uses, each) for each in older_windows]
        over += [await _from_silence(uses, each) for each in older_silences]
    return SuppressionLists(
        _sort((each for each in entries if each.state is SuppressionState.ACTIVE), lambda each: each.ends_at),
        _sort((each for each in entries if each.state is SuppressionState.PENDING), lambda each: each.begins_at),
        _sort(over, lambda each: each.ends_at)[::-1],
        windows.continuation is not None or silences.continuation is not None,
    )


def _sort(entries: Iterable[SuppressionEntry], key: Any) -> tuple[SuppressionEntry, ...]:
    """Sort by an instant; without one last."""
    return tuple(sorted(entries, key=lambda each: (key(each) is None, key(each) or 0, each.name)))


async def _from_defined(uses: Services, view: DefinedWindowView) -> SuppressionEntry:
    window = view.window
    jobs = view.jobs if view.jobs is not None else await uses.suppression_coverage.list_jobs(window.select)
    return SuppressionEntry(
        "window",
        window.name,
        view.state,
        view.begins_at,
        view.ends_at,
        describe_selector(window.select) if view.jobs is None else "some of your jobs",
        describe_recurrence(window),
        jobs,
        window.reason,
        window.change_id,
        origin=view.origin,
        pauses=window.effect is WindowEffect.PAUSE,
        only_then=window.only_then,
    )


async def _from_window(uses: Services, view: SuppressionView[RequestedWindow]) -> SuppressionEntry:
    requested, window, model = view.value, view.value.window, WindowModel.from_view(view)
    recurrence = describe_recurrence(window)
    recreate = dict(model.definition)
    if not recurrence and view.state is SuppressionState.ACTIVE and view.ends_at is not None:
        # What has started is created anew from now on.
        recreate = {name: value for name, value in recreate.items() if name not in ("from", "for", "timezone")}
        recreate["until"] = view.ends_at.isoformat()
    return SuppressionEntry(
        "window",
        requested.name,
        view.state,
        view.begins_at,
        view.ends_at,
        describe_selector(window.select),
        recurrence,
        await uses.suppression_coverage.list_jobs(window.select, requested.limited_to),
        window.reason,
        window.change_id,
        requested.author,
        pauses=window.effect is WindowEffect.PAUSE,
        limited_to=", ".join(model.limited_to),
        call=model.url,
        recreate=recreate,
    )


async def _from_silence(uses: Services, view: SuppressionView[Silence]) -> SuppressionEntry:
    silence, model = view.value, SilenceModel.from_view(view)
    recreate = {"select": model.select, "ends_at": silence.ends_at.isoformat(), "reason": silence.reason}
    if view.state is SuppressionState.PENDING:
        recreate["starts_at"] = silence.starts_at.isoformat()
    return SuppressionEntry(
        "silence",
        silence.title,
        view.state,
        view.begins_at,
        view.ends_at,
        describe_selector(silence.select),
        "",
        await uses.suppression_coverage.list_jobs(silence.select, silence.limited_to),
        silence.reason,
        author=silence.author,
        limited_to=", ".join(model.limited_to),
        call=model.url,
        recreate=recreate,
    )


_MAX_FIELD: Final = 500
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
    fields = {name: value.strip()[:_MAX_FIELD] for name, value in request.query_params.items()}
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
