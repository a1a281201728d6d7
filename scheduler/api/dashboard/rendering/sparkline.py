"""Draws a small line of values, such as the latency of a job in a day. Pure.

Used by scheduler.api.dashboard.rendering.templates: `{{ timeline.latencies | sparkline("24 h") }}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from jobs.formats.durations import describe_milliseconds

if TYPE_CHECKING:
    from markupsafe import Markup

LINE_WIDTH: Final = 100
LINE_HEIGHT: Final = 24
_LINE_MARGIN: Final = 2
_MAX_CACHED_DRAWINGS: Final = 1000


def sparkline(values: Sequence[float], period: str) -> Markup:
    """Return an SVG image of milliseconds from 0 to the largest value; empty with fewer than two values."""
    from markupsafe import Markup

    if len(values) < 2:
        return Markup("")
    label = describe_line(values, period)
    points = _draw(tuple(values))
    opening = Markup('<svg class="sparkline" viewBox="{}" role="img" aria-label="{}"><title>{}</title>')
    box = f"0 0 {LINE_WIDTH} {LINE_HEIGHT}"
    return opening.format(box, label, label) + Markup(f'<path d="{points}"/></svg>')


@lru_cache(_MAX_CACHED_DRAWINGS)
def _draw(values: tuple[float, ...]) -> str:
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
