"""The page /api/dashboard/settings: the settings in force with their origins, without secrets, and the API keys.

Keys are for admins. Registered by scheduler.api.dashboard.pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.access import ROLE_OF_SCOPE
from scheduler.api.dashboard.rendering.filters import FilterText, keep_filters
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import SETTINGS_PATH
from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep, parse_choice
from scheduler.api.scopes import Scope
from scheduler.features.access.models import KeyModel
from scheduler.health import SettingReport
from scheduler.identity.principal import Caller, format_tag_limits
from scheduler.services import Services

SettingSource = Literal["changed", "default", "file", "variable", "argument"]
_SOURCES: Final[tuple[SettingSource, ...]] = ("changed", "argument", "variable", "file", "default")
"""`changed`: all but the default ones."""

router = ApiRouter(in_schema=False)


@router.read(SETTINGS_PATH)
async def show_settings(
    request: Request, services: ServicesDep, caller: CallerDep, name: FilterText = "", source: FilterText = ""
) -> Response:
    """Show the settings that match, and all API keys."""
    settings = services.health.own_reports.list_settings()
    parse_choice("source", source, ("", *_SOURCES))
    keys = await _list_keys(services, caller)
    return await respond(
        request,
        services,
        "operations/settings.html",
        page="settings",
        path_of_page=SETTINGS_PATH,
        settings=[each for each in settings if _matches(each, name.strip().lower(), source)],
        total=len(settings),
        sources=_SOURCES,
        source=source,
        name=name.strip(),
        query=keep_filters(name=name.strip(), source=source),
        keys=keys,
        principal=caller.principal,
        tags=format_tag_limits(caller.principal.tags),
        jobs=services.queries.current_jobs(),
    )


async def _list_keys(services: Services, caller: Caller) -> Sequence[KeyModel] | None:
    """Return the keys, the active ones first; None for a caller without this role."""
    if not caller.principal.role.includes(ROLE_OF_SCOPE[Scope.MANAGE]):
        return None
    listed = await services.operations.api_keys.list_keys(caller)
    return sorted(listed.keys, key=lambda key: not key.active)


def _matches(setting: SettingReport, text: str, source: str) -> bool:
    is_chosen = source in ("", setting.source) or (source == "changed" and setting.source != "default")
    return is_chosen and (text in setting.name or text in setting.description.lower())
