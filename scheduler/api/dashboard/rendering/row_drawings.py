"""Draws what a row of the overview shows of a job: bars of its runs, and a line of its latency. Pure.

Templates use them as filters: `{{ timeline.spans | bars("24 h: 99.8 % succeeded") }}` and
`{{ timeline.latencies | sparkline("24 h") }}`. There is a bar for each of some equal spans of time. Its height tells
what its colour tells: nothing ran, succeeded, and up to the top where something was down.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from jobs.formats.durations import describe_milliseconds
from scheduler.queries.overview.spans import SpanCounts

if TYPE_CHECKING:
    from markupsafe import Markup

BAR_STEP: Final = 3
"""Units from one bar to the next: two of them are the bar."""
BAR_HEIGHT: Final = 24
_SUCCEEDED: Final = 14
_DEGRADED: Final = ((14, 6), (6, 6))
"""Two blocks above each other: each its distance from the lower edge to its upper one, and its height."""
_OTHER: Final = 4
_MIN_DOWN: Final = 6
_GAP: Final = 1
_MAX_CACHED_DRAWINGS: Final = 1000
"""Those of some pages: most jobs of a page have no new run when it is rendered again. Each takes about 3 KB."""


def bars(spans: Sequence[SpanCounts], label: str) -> Markup:
    """Return an SVG image with this text for screen readers. Style sheets give it its size and colours."""
    from markupsafe import Markup

    box = f"0 0 {max(1, len(spans)) * BAR_STEP - 1} {BAR_HEIGHT}"
    opening = Markup('<svg class="bars" viewBox="{}" preserveAspectRatio="none" role="img" aria-label="{}">')
    return opening.format(box, label) + Markup(f"<title>{{}}</title>{_draw_bars(tuple(spans))}</svg>").format(label)


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
