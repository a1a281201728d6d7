"""The page /api/dashboard/maintenance: windows and silences in force, planned and over, and the forms of new ones.

The preview of a draft is a GET with the fields of its form, so that it needs no script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from jobs.formats import format_duration, format_iso_instant, parse_duration
from jobs.incidents.suppression.spans import Span
from jobs.incidents.suppression.windows import ExplicitSelector, MaintenanceWindow, SubjectSelector
from jobs.model_base import FILE_CONTEXT
from jobs.problems import validation_problems
from jobs.schedules.explanations import explain_schedule
from jobs.schedules.parsing import parse_schedule
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import MAINTENANCE_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep
from scheduler.catalog.limited import LimitedCatalog
from scheduler.features.suppressions.models import SilenceModel, WindowModel
from scheduler.features.suppressions.queries import dump_window, format_tags
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


def describe_recurrence(definition: Mapping[str, Any]) -> str:
    """Return when a window with these keys recurs, such as `Sundays at 02:00 Europe/Berlin, for 3h`; empty: once."""
    length = f", for {format_duration(parse_duration(definition['for']))}" if "for" in definition else ""
    zone = definition.get("timezone", "UTC")
    if "schedule" in definition:
        return f"{explain_schedule(parse_schedule(definition['schedule']))}{length}"
    if "weekly" in definition:
        spec = definition["weekly"]
        given = spec.get("days", "")
        days = f"{given if isinstance(given, str) else ', '.join(given)} " if given else ""
        end = f" to {spec['to']}" if "to" in spec else ""
        return f"each week {days}{spec['from']}{end}{length} ({zone})"
    return f"whole days of a calendar ({zone})" if "calendar" in definition else ""


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
    """A silence or a window on the page. `jobs`: those that it concerns now. `recreate`: the body that creates it anew.

    `begins_at`, `ends_at`: of the current or the next period. `only_then`: its effect is outside of its periods.
    """

    kind: str
    view: SilenceModel | WindowModel
    name: str
    begins_at: datetime | None
    ends_at: datetime | None
    scope: str
    jobs: tuple[str, ...]
    recreate: dict[str, Any]
    recurrence: str = ""
    only_then: bool = False

    @property
    def holds_back(self) -> bool:
        """Return whether it holds notifications back now."""
        return (self.view.state == "active") is not self.only_then

    @property
    def pauses(self) -> bool:
        return isinstance(self.view, WindowModel) and self.view.effect == "pause"

    @property
    def origin(self) -> str:
        return self.view.origin if isinstance(self.view, WindowModel) else ""

    @property
    def change_id(self) -> str:
        return self.view.change_id if isinstance(self.view, WindowModel) else ""


@dataclass(frozen=True, slots=True)
class SuppressionLists:
    """`ended`: the newest first. `is_cut`: more exist than were read."""

    active: tuple[SuppressionEntry, ...]
    pending: tuple[SuppressionEntry, ...]
    ended: tuple[SuppressionEntry, ...]
    is_cut: bool


async def read_suppressions(services: Services, principal: Principal, *, ended: bool) -> SuppressionLists:
    """Return the windows and silences that have not ended. `ended`: those that have, in addition. Raises StoreError."""
    queries = services.suppressions
    windows, silences = await asyncio.gather(
        queries.list_windows(principal, limit=MAX_LISTED), queries.list_silences(principal, limit=MAX_LISTED)
    )
    entries = [await _show_window(services, window) for window in windows.windows]
    entries += [await _show_silence(services, silence) for silence in silences.silences]
    over = [entry for entry in entries if entry.view.state == "ended"]
    if ended:
        older_windows, older_silences = await asyncio.gather(
            queries.list_ended_windows(principal, MAX_ENDED), queries.list_ended_silences(principal, MAX_ENDED)
        )
        over += [await _show_window(services, window) for window in older_windows]
        over += [await _show_silence(services, silence) for silence in older_silences]
    return SuppressionLists(
        _sort((entry for entry in entries if entry.view.state == "active"), lambda entry: entry.ends_at),
        _sort((entry for entry in entries if entry.view.state == "pending"), lambda entry: entry.begins_at),
        _sort(over, lambda entry: entry.ends_at)[::-1],
        windows.continuation is not None or silences.continuation is not None,
    )


def _sort(entries: Iterable[SuppressionEntry], key: Any) -> tuple[SuppressionEntry, ...]:
    """Sort by an instant; without one last."""
    return tuple(sorted(entries, key=lambda entry: (key(entry) is None, key(entry) or 0, entry.name)))


async def _show_window(services: Services, window: WindowModel) -> SuppressionEntry:
    definition = window.definition
    select = ExplicitSelector.model_validate(definition["select"])
    recurrence = describe_recurrence(definition)
    recreate = dict(definition)
    if not recurrence and window.state == "active" and window.ends_at is not None:
        # What has started is created anew from now on.
        recreate = {name: value for name, value in recreate.items() if name not in ("from", "for", "timezone")}
        recreate["until"] = window.ends_at.isoformat()
    # Of a window of the job files a limited caller sees only which of its jobs are selected.
    is_limited = window.id is None and isinstance(services.catalog, LimitedCatalog)
    jobs = select.jobs if is_limited else await services.suppression_coverage.list_jobs(select, window.limited_to)
    return SuppressionEntry(
        "window",
        window,
        window.name,
        window.begins_at,
        window.ends_at,
        "some of your jobs" if is_limited else describe_selector(select),
        jobs,
        recreate,
        recurrence,
        bool(definition.get("only_then")),
    )


async def _show_silence(services: Services, silence: SilenceModel) -> SuppressionEntry:
    select = ExplicitSelector.model_validate(silence.select)
    recreate = {"select": silence.select, "ends_at": silence.ends_at.isoformat(), "reason": silence.reason}
    if silence.state == "pending":
        recreate["starts_at"] = silence.starts_at.isoformat()
    return SuppressionEntry(
        "silence",
        silence,
        silence.title,
        silence.starts_at if silence.state == "pending" else None,
        silence.ends_at,
        describe_selector(select),
        await services.suppression_coverage.list_jobs(select, silence.limited_to),
        recreate,
    )


_MAX_FIELD: Final = 500
_TEXTS: Final = ("reason", "change_id", "effect")
_TEXTS_OF: Final = {
    "silence": ("for",),
    "window": ("for", "from", "until", "timezone"),
    "weekly": ("timezone",),
    "recurring": ("for",),
}
_MEMBERS: Final = {"weekly": ("weekly", ("from", "to")), "recurring": ("schedule", ("cron", "timezone"))}
_MAX_DAYS: Final = 7
_FORMS: Final = ("silence", "window", "weekly", "recurring")

router = ApiRouter(in_schema=False, by_tag=True, accepts_unknown_query=True)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a user has entered. `form`: one of _FORMS, or empty: then only the fields can be set, by a link."""

    form: str
    fields: Mapping[str, str]
    preview: WindowPreview | None = None
    recurrence: str = ""
    jobs: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    """Weekdays, such as SUN."""


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
    form, days = fields.get("form", ""), tuple(request.query_params.getlist("weekly.days"))[:_MAX_DAYS]
    if form not in _FORMS:
        return Draft("", {name: value for name, value in fields.items() if name.startswith("select.")})
    preview = preview_window(_to_definition(form, fields, days), uses.clock.now())
    window = preview.window
    if window is None:
        return Draft(form, fields, preview, days=days)
    principal = request.scope["state"]["principal"]
    jobs = await uses.suppression_coverage.list_jobs(window.select, format_tags(principal.tags))
    return Draft(form, fields, preview, describe_recurrence(dump_window(window)), jobs, days)


def _to_definition(form: str, fields: Mapping[str, str], days: Sequence[str]) -> dict[str, Any]:
    """Return the keys of job files, as static/js/actions.js makes them of the same form."""
    found: dict[str, Any] = {name: fields[name] for name in (*_TEXTS, *_TEXTS_OF[form]) if fields.get(name)}
    if "until" in found:
        found.pop("for", None)
    key, names = _MEMBERS.get(form, ("", ()))
    members: dict[str, Any] = {name: value for name in names if (value := fields.get(f"{key}.{name}"))}
    if form == "weekly" and days:
        members["days"] = list(days)
    if members:
        found[key] = members
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
