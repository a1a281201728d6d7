"""The environment of the templates: their filters and globals. Called by scheduler.api.dashboard.rendering.page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobs.formats.counts import format_count
from jobs.formats.display_text import escape_control_characters
from jobs.formats.durations import describe_span
from jobs.incidents import headline
from jobs.targets import describe_target
from scheduler.api.dashboard.rendering import formatting
from scheduler.api.dashboard.rendering.bars import bars
from scheduler.api.dashboard.rendering.handling import find_restore_call
from scheduler.api.dashboard.rendering.paths import (
    DASHBOARD_PATH,
    INCIDENTS_PATH,
    MAINTENANCE_PATH,
    NAVIGATION,
    circuit_page_path,
    incident_page_path,
    job_page_path,
    run_page_path,
)
from scheduler.api.dashboard.rendering.sparkline import sparkline
from scheduler.api.dashboard.rendering.timeline_text import timeline_text, window_text
from scheduler.api.scopes import SIGN_IN_PATH, SIGN_OUT_PATH
from scheduler.features.runs.models import run_path

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER: Final = Path(__file__).parent.parent / "templates"
_FILTERS: Final = (
    formatting.when,
    formatting.clock_time,
    formatting.exact,
    formatting.date_and_time,
    formatting.milliseconds,
    formatting.percent,
    formatting.words,
    formatting.parts,
    format_count,
    formatting.offset_text,
    formatting.strip_text,
    bars,
    sparkline,
    timeline_text,
)


@cache
def get_templates() -> Environment:
    """Return the environment; it is created when the first page is requested."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_escape_value,
    )
    for text in _FILTERS:
        templates.filters[text.__name__] = text
    templates.filters["span"] = lambda span: describe_span(round(span.total_seconds()))
    templates.filters["seconds"] = describe_span
    templates.globals.update(
        circuit_page_path=circuit_page_path,
        count_severities=headline.count_severities,
        dashboard=DASHBOARD_PATH,
        describe_cause=headline.describe_cause,
        describe_others=headline.describe_others,
        describe_target=describe_target,
        explains_others=headline.explains_others,
        find_keeping_open=headline.find_keeping_open,
        find_restore_call=find_restore_call,
        incident_page_path=incident_page_path,
        incidents_path=INCIDENTS_PATH,
        list_still_failing=headline.list_still_failing,
        list_subjects=headline.list_subjects,
        maintenance_path=MAINTENANCE_PATH,
        navigation=NAVIGATION,
        job_page_path=job_page_path,
        nothing=formatting.NOTHING,
        window_text=window_text,
        run_page_path=run_page_path,
        run_path=run_path,
        sign_in_path=SIGN_IN_PATH,
        sign_out_path=SIGN_OUT_PATH,
    )
    return templates


def compile_template(name: str) -> None:
    """Compile a template and those that it extends, imports or includes by a constant name."""
    from jinja2 import meta

    templates = get_templates()
    pending, compiled = [name], set[str]()
    while pending:
        if (each := pending.pop()) not in compiled:
            compiled.add(each)
            templates.get_template(each)
            assert templates.loader is not None
            source, _, _ = templates.loader.get_source(templates, each)
            pending += filter(None, meta.find_referenced_templates(templates.parse(source)))


def _escape_value(value: object) -> object:
    """Escape control and direction characters of each value: texts come from job files, callers and targets."""
    return escape_control_characters(value) if type(value) is str else value
