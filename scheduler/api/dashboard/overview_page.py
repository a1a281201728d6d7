"""The overview page at /api/dashboard: jobs that are down, all jobs, the newest runs. Read-only.

The page works without its script, which fetches the page every few seconds and applies the changes.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Literal

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from scheduler.api.dashboard.overview import MAX_OUTAGE_CARDS, RECENT_RUNS, OverviewPage, OverviewReader
from scheduler.api.dashboard.readers import PageReaders, readers_of
from scheduler.api.dashboard.rendering import DASHBOARD_PATH, render_page
from scheduler.api.dependencies import Continuation, ServicesDep
from scheduler.api.models.base import RETRY_AFTER
from scheduler.api.routing import ApiRouter
from scheduler.stores.port import StoreError

router = ApiRouter(in_schema=False, by_tag=True)


def prepare_dashboard(api: FastAPI) -> None:
    """Prepare the cache of readers."""
    api.state.readers = PageReaders()


@router.read(DASHBOARD_PATH)
async def show_overview(
    request: Request, uses: ServicesDep, show: Literal["down"] | None = None, continuation: Continuation = None
) -> HTMLResponse:
    """Show the page; `show=down` lists only jobs that are down.

    While the store is unavailable it shows the health of the parts, with status 503.
    """
    overview = readers_of(request, uses).overview
    report, page = await asyncio.gather(
        uses.health.report(), _read_page(overview, continuation or "", only_down=show is not None)
    )
    away = isinstance(page, StoreError)
    html = render_page(
        "overview.html",
        request,
        now=uses.clock.now(),
        environment=uses.environment,
        version=uses.version,
        report=report,
        is_limited=uses.is_limited,
        away=str(page) if away else "",
        page=None if away else page,
        strip=RECENT_RUNS,
        cards=MAX_OUTAGE_CARDS,
    )
    if away:
        return HTMLResponse(html, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": RETRY_AFTER})
    return HTMLResponse(html)


async def _read_page(overview: OverviewReader, after: str, *, only_down: bool) -> OverviewPage | StoreError:
    try:
        return await overview.read_page(after, only_down=only_down)
    except StoreError as error:
        return error
