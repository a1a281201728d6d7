"""The environment of the templates: their filters and globals, and the drawings of the rows of the overview.

A row draws bars of the job's runs and a line of its latency: `{{ timeline | bars("24 h: 99.8 % succeeded", href) }}`,
`{{ timeline.latencies | sparkline("24 h") }}`. Each bar is a span of time, and all spans are equal. Its height repeats
what its colour means, for those who do not see colours: low if nothing ran, medium if runs succeeded, three dashes if
they were unknown, and down from the top by the share of runs that were down.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobs.formats import describe_milliseconds, describe_span, format_iso_instant
from jobs.incidents import headline
from jobs.incidents.values import Incident
from jobs.model_base import escape_control_characters
from jobs.problems import make_printable
from jobs.targets import describe_target
from scheduler.api.dashboard.rendering import formatting
from scheduler.api.dashboard.rendering.formatting import timeline_text, window_text
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
from scheduler.api.scopes import SIGN_IN_PATH, SIGN_OUT_PATH
from scheduler.features.overview.timelines import JobTimeline, SpanCounts
from scheduler.features.runs.models import run_path

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

BAR_STEP: Final = 3
"""Units from one bar to the next: two of them are the bar."""
BAR_HEIGHT: Final = 24
_SUCCEEDED: Final = 14
_DEGRADED: Final = ((14, 6), (6, 6))
_UNKNOWN: Final = ((14, 2), (9, 2), (4, 2))
"""Blocks above each other: each its distance from the lower edge to its upper one, and its height."""
_OTHER: Final = 4
_MIN_DOWN: Final = 6
_GAP: Final = 1
MAX_REASONS, MAX_REASON = 5, 100
"""Different reasons of a job's bars that are shown, and their characters: a row has about 2 KB."""
_MAX_CACHED_DRAWINGS: Final = 1000
"""Those of some pages: most jobs of a page have no new run when it is rendered again. Each takes about 3 KB."""


def bars(timeline: JobTimeline, label: str, href: str) -> Markup:
    """Return an SVG image with this text, within a link to the time that it covers.

    The attributes have what bars.js shows of each bar: as parts of equal bars, its counts and the number of its reason.
    """
    from markupsafe import Markup

    spans = tuple(timeline.spans)
    box = f"0 0 {max(1, len(spans)) * BAR_STEP - 1} {BAR_HEIGHT}"
    opening = Markup(
        '<a class="bars-link" href="{}" aria-label="{}" data-since="{}" data-span="{}" data-bars="{}"{}>'
        '<svg class="bars" viewBox="{}" preserveAspectRatio="none" aria-hidden="true">'
    )
    values, reasons = _encode_bars(spans, tuple(timeline.reasons.items()))
    described = Markup(' data-reasons="{}"').format(reasons) if reasons else ""
    since, span = round(timeline.since.timestamp()), round(timeline.window.span.total_seconds())
    drawn = Markup(f"<title>{{}}</title>{_draw_bars(spans)}</svg></a>").format(label)
    return opening.format(href, label, since, span, values, described, box) + drawn


@lru_cache(_MAX_CACHED_DRAWINGS)
def _encode_bars(spans: tuple[SpanCounts, ...], reasons: tuple[tuple[int, str], ...]) -> tuple[str, str]:
    """Return JSON: runs of equal bars as `[number, succeeded, degraded, down, other, unknown, reason]` without zeros at
    the end, and the few newest reasons, of which a bar has the number from 1 on.
    """
    by_place = {place: make_printable(text, MAX_REASON) for place, text in reasons}
    newest = [by_place[place] for place in sorted(by_place, reverse=True)]
    texts = list(dict.fromkeys(newest))[:MAX_REASONS]
    parts: list[list[int]] = []
    for place, counts in enumerate(spans):
        text = by_place.get(place)
        values = [*counts, texts.index(text) + 1 if text in texts else 0]
        while values and not values[-1]:
            values.pop()
        if parts and parts[-1][1:] == values:
            parts[-1][0] += 1
        else:
            parts.append([1, *values])
    return json.dumps(parts, separators=(",", ":")), json.dumps(texts, ensure_ascii=False) if texts else ""


@lru_cache(_MAX_CACHED_DRAWINGS)
def _draw_bars(spans: tuple[SpanCounts, ...]) -> str:
    strokes: dict[str, list[str]] = {}
    for place, counts in enumerate(spans):
        for name, top, height in _list_blocks(counts):
            strokes.setdefault(name, []).append(f"M{place * BAR_STEP + 1} {BAR_HEIGHT - top}v{height}")
    return "".join(f'<path class="bar-{name}" d="{"".join(found)}"/>' for name, found in strokes.items())


def _list_blocks(counts: SpanCounts) -> list[tuple[str, int, int]]:
    """Return the blocks of a bar: class, distance from the lower edge to its upper one, height."""
    fine = counts.succeeded + counts.degraded
    if counts.down:
        share = counts.down / (counts.down + fine)
        height = max(_MIN_DOWN, round(BAR_HEIGHT * share))
        below = BAR_HEIGHT - height - _GAP
        blocks = [("down", BAR_HEIGHT, height)]
        return [*blocks, ("up", below, below)] if fine and below > 0 else blocks
    if counts.degraded:
        return [("degraded", top, height) for top, height in _DEGRADED]
    if fine:
        return [("up", _SUCCEEDED, _SUCCEEDED)]
    if counts.unknown:
        return [("unknown", top, height) for top, height in _UNKNOWN]
    return [("other", _OTHER, _OTHER)] if counts.other else [("none", 1, 1)]


LINE_WIDTH: Final = 100
LINE_HEIGHT: Final = 24
_LINE_MARGIN: Final = 2


def sparkline(values: Sequence[float], period: str) -> Markup:
    """Return an SVG image of milliseconds from 0 to the largest value; empty with fewer than two values."""
    from markupsafe import Markup

    if len(values) < 2:
        return Markup("")
    label = describe_line(values, period)
    points = _draw_line(tuple(values))
    opening = Markup('<svg class="sparkline" viewBox="{}" role="img" aria-label="{}"><title>{}</title>')
    box = f"0 0 {LINE_WIDTH} {LINE_HEIGHT}"
    return opening.format(box, label, label) + Markup(f'<path d="{points}"/></svg>')


@lru_cache(_MAX_CACHED_DRAWINGS)
def _draw_line(values: tuple[float, ...]) -> str:
    return "".join(f"{'L' if number else 'M'}{x:g} {y:g}" for number, (x, y) in enumerate(_place_points(values)))


def describe_line(values: Sequence[float], period: str) -> str:
    """Return `response time in 24 h: 80 ms to 120 ms, last 91 ms`."""
    low, high, last = (describe_milliseconds(value) for value in (min(values), max(values), values[-1]))
    return f"response time in {period}: {low} to {high}, last {last}"


def _place_points(values: Sequence[float]) -> list[tuple[float, float]]:
    top = max(values) or 1.0
    width, height = LINE_WIDTH - 2 * _LINE_MARGIN, LINE_HEIGHT - 2 * _LINE_MARGIN
    step = width / (len(values) - 1)
    return [
        (round(_LINE_MARGIN + number * step, 1), round(_LINE_MARGIN + height * (1 - value / top), 1))
        for number, value in enumerate(values)
    ]


def find_restore_call(incident: Incident, now: datetime) -> tuple[str, Mapping[str, str] | None]:
    """Return the request that restores the present state of an incident, which the page offers to undo a change.

    The state is snoozed, acknowledged or neither. Returned are the method with the path, and the body.
    """
    path = f"POST /api/incidents/{incident.id}"
    if incident.snoozed_until is not None and incident.snoozed_until > now:
        return f"{path}/snooze", {"until": format_iso_instant(incident.snoozed_until)}
    if incident.acknowledged_at is not None:
        return f"{path}/acknowledge", None
    return f"{path}/unacknowledge", None


_FOLDER: Final = Path(__file__).parent.parent / "templates"
_FILTERS: Final = (
    formatting.when,
    formatting.clock_time,
    formatting.exact,
    formatting.date_and_time,
    formatting.milliseconds,
    formatting.next_morning,
    formatting.percent,
    formatting.without_html,
    formatting.words,
    formatting.parts,
    formatting.format_count,
    formatting.units,
    formatting.offset_text,
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
        describe_shared=headline.describe_shared,
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
