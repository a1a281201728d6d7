"""Renders the HTML pages from their templates. Called by the page modules."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from fastapi import Request

from jobs.formats.display_text import escape_control_characters
from jobs.formats.durations import describe_span
from scheduler.api.dashboard import formatting
from scheduler.api.dependencies import FUNCTION_KEY
from scheduler.api.models.runs import run_path
from scheduler.api.scopes import SIGN_IN_PATH, SIGN_OUT_PATH
from scheduler.authentication.port import Authenticated
from scheduler.identity.principal import Principal

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent

DASHBOARD_PATH = "/api/dashboard"
STATIC_FOLDER = _HERE / "static"


def job_page_path(name: str) -> str:
    """Return the URL path of a job's page."""
    return f"{DASHBOARD_PATH}/jobs/{quote(name)}"


def run_page_path(run_id: str) -> str:
    """Return the URL path of a run's page."""
    return f"{DASHBOARD_PATH}/runs/{quote(run_id, safe='@')}"


def render_page(name: str, request: Request, **values: object) -> str:
    """Render a template. Its links contain the function key of the request, as a browser sends no key header."""
    link = _link_builder(request.query_params.get(FUNCTION_KEY))
    return _environment().get_template(name).render(link=link, signed_in=_find_session(request), **values)


def _find_session(request: Request) -> Principal | None:
    """Return the caller of a session, whom the page names; None for any other caller."""
    caller: Authenticated | None = (request.scope.get("state") or {}).get("authenticated")
    return caller.principal if caller is not None and caller.session_id else None


def _link_builder(key: str | None) -> Callable[..., str]:
    def link(path: str, **query: str) -> str:
        pairs = query | ({FUNCTION_KEY: key} if key else {})
        return f"{path}?{urlencode(pairs)}" if pairs else path

    return link


def _escape_value(value: object) -> object:
    """Escape control and direction characters of each value: texts come from job files, callers and targets."""
    return escape_control_characters(value) if type(value) is str else value


@cache
def _environment() -> Environment:
    from jinja2 import (
        Environment,
        FileSystemLoader,
        StrictUndefined,
        select_autoescape,
    )  # imported only when a page is requested

    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_escape_value,
    )
    filters = (
        formatting.when,
        formatting.clock_time,
        formatting.exact,
        formatting.milliseconds,
        formatting.percent,
        formatting.words,
        formatting.parts,
        formatting.counted,
        formatting.strip_text,
    )
    for text in filters:
        templates.filters[text.__name__] = text
    templates.filters["span"] = lambda span: describe_span(round(span.total_seconds()))
    templates.filters["seconds"] = describe_span
    templates.globals.update(
        dashboard=DASHBOARD_PATH,
        job_page_path=job_page_path,
        nothing=formatting.NOTHING,
        run_page_path=run_page_path,
        run_path=run_path,
        sign_in_path=SIGN_IN_PATH,
        sign_out_path=SIGN_OUT_PATH,
    )
    return templates
