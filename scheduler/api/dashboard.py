"""The page at /api/dashboard: what is down, since when and why; every job; the newest runs. Reads only.

The page is complete without its script, which only fetches it again every few seconds and puts in what has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from scheduler.api import texts
from scheduler.api.answer import RETRY_AFTER
from scheduler.api.models import run_path
from scheduler.api.overview import STRIP, Overview, Page
from scheduler.api.parameters import FUNCTION_KEY, Continuation, Uses, only_known_parameters
from scheduler.stores.port import StoreError

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent

router = APIRouter()


def add_dashboard(api: FastAPI, overview: Overview) -> None:
    """The page, its style sheet and its script."""
    api.state.overview = overview
    api.mount("/api/dashboard/static", StaticFiles(directory=_HERE / "static"), name="static")
    api.include_router(router)


@router.get("/api/dashboard", include_in_schema=False, dependencies=[Depends(only_known_parameters)])
async def dashboard(
    request: Request,
    uses: Uses,
    continuation: Continuation = None,
    key: Annotated[str | None, Query(alias=FUNCTION_KEY)] = None,
) -> HTMLResponse:
    """The page. A function key is handed on to its links, as a browser sends no key header.

    While the store is away it shows how the parts are, with 503.
    """
    overview: Overview = request.app.state.overview
    report, page = await asyncio.gather(uses.health.report(), _page_or_error(overview, continuation or ""))
    away = isinstance(page, StoreError)
    template = _templates().get_template("overview.html")
    html = template.render(
        now=uses.clock.now(),
        environment=uses.environment,
        version=uses.version,
        report=report,
        away=str(page) if away else "",
        page=None if away else page,
        link=_linker(key),
    )
    if away:
        return HTMLResponse(html, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": RETRY_AFTER})
    return HTMLResponse(html)


async def _page_or_error(overview: Overview, after: str) -> Page | StoreError:
    try:
        return await overview.page(after)
    except StoreError as error:
        return error


def _linker(key: str | None) -> Callable[..., str]:
    def link(path: str, **query: str) -> str:
        pairs = query | ({FUNCTION_KEY: key} if key else {})
        return f"{path}?{urlencode(pairs)}" if pairs else path

    return link


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape  # for who looks at the page

    templates = Environment(
        loader=FileSystemLoader(_HERE / "pages"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    filters = (
        texts.when,
        texts.clock_time,
        texts.milliseconds,
        texts.words,
        texts.parts,
        texts.counted,
        texts.strip_text,
    )
    for text in filters:
        templates.filters[text.__name__] = text
    templates.filters["span"] = lambda span: texts.span_text(span.total_seconds())
    templates.globals.update(run_path=run_path, nothing=texts.NOTHING, strip=STRIP)
    return templates
