"""The overview page at /api/dashboard: what is down and since when, every job, the newest runs. Reads only.

The page is complete without its script, which only fetches it again every few seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.staticfiles import StaticFiles

from jobs.runs import Outcome
from scheduler.api.models import run_path
from scheduler.api.parameters import Continuation, Uses
from scheduler.queries import JobView
from scheduler.services import Services
from scheduler.stores.runs import Record

_HERE = Path(__file__).parent
PAGE = 50
"""Jobs on a page."""
STRIP = 20
"""Runs in a job's strip of recent outcomes."""

router = APIRouter()


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the page shows it. `recent` is oldest first; `down_since` is known as far as `recent` reaches."""

    view: JobView
    recent: tuple[Record, ...]

    @property
    def outcome(self) -> Outcome | None:
        latest = self.view.latest
        return latest.run.outcome if latest is not None and latest.run is not None else None

    @property
    def down(self) -> bool:
        return self.outcome is not None and self.outcome.down

    @property
    def down_since(self) -> datetime | None:
        since = None
        for record in reversed(self.recent):
            if record.run is None or record.run.outcome is Outcome.SKIPPED:
                continue
            if not record.run.outcome.down:
                break
            since = record.run.started_at
        return since

    @property
    def down_longer(self) -> bool:
        """All of the strip is down: it began before."""
        oldest = self.recent[0].run if self.recent else None
        return len(self.recent) == STRIP and oldest is not None and oldest.started_at == self.down_since


def add_dashboard(api: FastAPI) -> None:
    """The page, its style sheet and its script."""
    api.mount("/api/dashboard/static", StaticFiles(directory=_HERE / "static"), name="static")
    api.include_router(router)


@router.get("/api/dashboard", include_in_schema=False)
async def overview(
    request: Request, uses: Uses, continuation: Continuation = None, code: Annotated[str | None, Query()] = None
) -> HTMLResponse:
    """The page. A function key in `code` is handed on to the links, as a browser sends no key header."""
    report, page, newest = await asyncio.gather(
        uses.health.report(), uses.queries.jobs(limit=PAGE, after=continuation or ""), uses.queries.runs(limit=STRIP)
    )
    rows = await asyncio.gather(*(_row(uses, view) for view in page.jobs))
    html = _TEMPLATES.get_template("overview.html").render(
        now=uses.clock.now(),
        environment=uses.environment,
        version=uses.version,
        report=report,
        rows=sorted(rows, key=lambda row: not row.down),
        runs=newest.records,
        continuation=page.continuation,
        first_page=continuation is None,
        link=_link(code),
    )
    return HTMLResponse(html)


async def _row(uses: Services, view: JobView) -> JobRow:
    recent = await uses.queries.runs(job=view.entry.job.name, limit=STRIP)
    finished = [record for record in recent.records if record.run is not None]
    return JobRow(view, tuple(reversed(finished)))


def _link(code: str | None) -> object:
    def link(path: str, **query: str) -> str:
        pairs = query | ({"code": code} if code else {})
        return f"{path}?{urlencode(pairs)}" if pairs else path

    return link


def span_text(seconds: float) -> str:
    """A span as people say it: `now`, `12 s`, `4 min`, `3 h`, `5 d`."""
    seconds = abs(seconds)
    if seconds < 1:
        return "now"
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _when(instant: datetime, now: datetime) -> str:
    text = span_text((instant - now).total_seconds())
    if text == "now":
        return text
    return f"in {text}" if instant > now else f"{text} ago"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:.1f} s"


def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "pages"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["when"] = _when
    templates.filters["milliseconds"] = _milliseconds
    templates.globals["run_path"] = run_path
    return templates


_TEMPLATES = _templates()
