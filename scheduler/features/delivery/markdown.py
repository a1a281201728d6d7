"""Markdown for comments of pull requests, in which names and messages of others do nothing. Pure.

A value stands in a code span: there, platforms read neither mentions, references to issues, links nor HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from jobs.formats import escape_controls, format_count

MAX_COMMENT: Final = 60_000
"""Characters; a comment on GitHub has 65,536 at most."""
MAX_VALUE: Final = 200
"""Characters of a value."""


def code(text: str, limit: int = MAX_VALUE) -> str:
    """Return a code span with this text on one line; `-` without a text."""
    shown = escape_controls(text)
    shown = shown if len(shown) <= limit else f"{shown[:limit]}…"
    if not shown.strip():
        return "-" if not shown else "` `"
    fence = "`" * (_longest_run(shown) + 1)
    # A renderer removes one blank from both sides if both have one.
    padding = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def cell(text: str, limit: int = MAX_VALUE) -> str:
    """Return the same for a table. A pipe divides cells, also in a code span, unless a backslash precedes it."""
    return code(text, limit).replace("|", "\\|")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table. The cells are Markdown: see `cell`."""
    lines = [_row(titles), _row(["---"] * len(titles))]
    return [*lines, *map(_row, rows)]


def fenced(lines: Iterable[str], language: str = "") -> list[str]:
    """Return a code block."""
    shown = [escape_controls(line) for line in lines]
    fence = "`" * max(3, max(map(_longest_run, shown), default=0) + 1)
    return [f"{fence}{language}", *shown, fence]


def details(summary: str, lines: Sequence[str]) -> list[str]:
    """Return a section that a reader opens. `summary`: plain words of this program, not of others."""
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>"]


def join_sections(sections: Iterable[Sequence[str]]) -> str:
    """Join sections, an empty line between two. Sections that do not fit into a comment are replaced by a sentence."""
    parts: list[str] = []
    size = omitted = 0
    for section in sections:
        text = "\n".join(section)
        if not text:
            continue
        if size + len(text) > MAX_COMMENT:
            omitted += 1
            continue
        parts.append(text)
        size += len(text) + 2
    if omitted:
        number = format_count(omitted, "section is", "sections are")
        parts.append(f"{number} too long for a comment: `--json` has everything.")
    return "\n\n".join(parts) + "\n"


def format_in_zone(instant: datetime, zone: tzinfo) -> str:
    """`2026-11-28 02:30:00 CET`; a fraction of a second only if there is one."""
    try:
        local = instant.astimezone(zone)
    except OverflowError:  # the calendar of the zone has no such date
        local = instant.astimezone(UTC)
    fraction = f".{local.microsecond // 1000:03}" if local.microsecond else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {local:%Z}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
