"""The overview page at /api/dashboard: jobs that are down, all jobs, the newest runs. Read-only.

The page works without its script, which fetches the page every few seconds and applies the changes.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Literal

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.overview.overview import MAX_OUTAGE_CARDS, RECENT_RUNS, OverviewPage, OverviewReader
from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.dependencies import Continuation, ServicesDep
from scheduler.api.models.base import RETRY_AFTER
from scheduler.api.routing import ApiRouter
from scheduler.stores.port import StoreError

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(DASHBOARD_PATH)
async def show_overview(
    request: Request, uses: ServicesDep, show: Literal["down"] | None = None, continuation: Continuation = None
) -> Response:
    """Show the page; `show=down` lists only jobs that are down.

    While the store is unavailable it shows the health of the parts, with status 503.
    """
    overview = readers_of(request, uses).overview
    report, page = await asyncio.gather(
        uses.health.report(), _read_page(overview, continuation or "", only_down=show is not None)
    )
    away = isinstance(page, StoreError)
    return await respond(
        request,
        uses,
        "overview.html",
        page="overview",
        status=HTTPStatus.SERVICE_UNAVAILABLE if away else HTTPStatus.OK,
        headers={"Retry-After": RETRY_AFTER} if away else None,
        report=report,
        is_limited=uses.is_limited,
        away=str(page) if away else "",
        overview=None if away else page,
        strip=RECENT_RUNS,
        cards=MAX_OUTAGE_CARDS,
    )


async def _read_page(overview: OverviewReader, after: str, *, only_down: bool) -> OverviewPage | StoreError:
    try:
        return await overview.read_page(after, only_down=only_down)
    except StoreError as error:
        return error
