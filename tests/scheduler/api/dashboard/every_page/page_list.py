"""The pages of the dashboard, from its routers: a new page is in the list without a change here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from scheduler.api.dashboard.pages import PAGE_ROUTERS
from scheduler.api.dashboard.rendering.preferences import PREFERENCES_PATH
from scheduler.api.scopes import SIGN_IN_PATH, STATIC_PATH

NOT_PAGES = frozenset(
    {
        "/",  # leads to the overview
        PREFERENCES_PATH,  # leads back
        SIGN_IN_PATH,  # with keys only, see test_permissions
        f"{STATIC_PATH}/{{digest}}/{{path:path}}",
    }
)
"""Paths of the routers that answer with no page."""

QUERIES: Mapping[str, str] = {}
"""By path: the query that a page needs."""

VIEWS = (
    "/api/dashboard?state=down",
    "/api/dashboard?group=team&span=90d",
    "/api/dashboard/wall?state=down",
    "/api/dashboard/maintenance?form=recurring&select.all=on&schedule.cron=0+0+2+*+*+*&for=2h",
    "/api/dashboard/runs?job=nothing",
    "/api/dashboard/slowest?window=7d&by=tag:team&sort=change",
    "/api/dashboard/slowest?sort=slower&tag=team%3Dpayments",
    "/api/dashboard/compare?job=checkout",
    "/api/dashboard/compare?job=checkout&preset=trend",
    "/api/dashboard/compare?tag=team%3Dpayments&preset=deployment",
    "/api/dashboard/schedule?range=7d&jobs=rare&cell=2026-03-02T03:00Z",
)
"""Further pages: the path of another one with a query."""

_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")


class LacksExample(AssertionError):
    """A page has a parameter without an example in world.fill."""


def list_templates() -> list[str]:
    """Return the paths of all pages, with their parameters."""
    routes = [route for router in PAGE_ROUTERS for route in router.declared]
    return [route.path for route in routes if route.method == "GET" and route.path not in NOT_PAGES]


def find_address(template: str, world: Mapping[str, str]) -> str:
    """Return the address of a page with the examples of `world.fill`. Raises LacksExample."""

    def fill_in(parameter: re.Match[str]) -> str:
        name = parameter.group(1)
        if name not in world:
            raise LacksExample(f"{template}: add an example of {name} to what every_page.world.fill returns")
        return quote(world[name], safe="@")

    return _PARAMETER.sub(fill_in, template) + QUERIES.get(template, "")


def list_addresses(world: Mapping[str, str]) -> list[str]:
    """Return the addresses of all pages and views."""
    return [*(find_address(template, world) for template in list_templates()), *VIEWS]
