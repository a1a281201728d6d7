"""Writes the tables of docs/telemetry.md from observability.names. Called by `./dev names`; `--check` by `./dev check`.

A table is between two marks, which name it; the page around them is written by hand:

    <!-- table: tags (./dev names writes it) -->
    <!-- end of table -->
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from observability import names
from observability.names.series import SERIES, watchdog_series
from scheduler.watchdog.report import WATCHDOG_GAUGES

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "telemetry.md"
_TABLE: Final = re.compile(
    r"(?P<start><!-- table: (?P<title>[a-z ]+) \(\./dev names writes it\) -->\n)"
    r"(?P<body>.*?)(?P<end><!-- end of table -->\n)",
    re.DOTALL,
)


def create_page_text(page: str) -> str:
    """Return the page with its current tables. Raises ValueError: a mark is missing, or names no table."""
    tables, found = create_tables(), set()

    def replace_table(match: re.Match[str]) -> str:
        title = match["title"]
        if title not in tables:
            raise ValueError(f"no table is called {title!r}: the tables are {', '.join(tables)}")
        found.add(title)
        return f"{match['start']}\n{tables[title]}\n{match['end']}"

    text = _TABLE.sub(replace_table, page)
    if missing := [title for title in tables if title not in found]:
        raise ValueError(f"docs/telemetry.md has no marks of the tables {', '.join(missing)}")
    return text


def create_tables() -> Mapping[str, str]:
    """Return each table by its title."""
    gauges = tuple(map(names.gauge_metric, WATCHDOG_GAUGES))
    return {
        "log events": _make_table(
            ("name", "level", "meaning"), ((each.name, each.levels, each.description) for each in names.LOG_EVENTS)
        ),
        "fields of every line": _make_table(
            ("name", "unit", "meaning"), ((each.name, each.unit, each.description) for each in names.LINE_FIELDS)
        ),
        "fields of events": _make_table(
            ("name", "unit", "on", "meaning"),
            ((each.name, each.unit, each.on, each.description) for each in names.EVENT_FIELDS),
        ),
        "metrics of runs": _make_metric_table(names.RUN_METRICS),
        "metrics of the program": _make_metric_table((*names.PROGRAM_METRICS, *gauges)),
        "series": _make_table(
            ("name", "unit", "kind", "labels", "meaning"),
            (
                (each.name, each.unit, each.kind, ", ".join(each.labels), each.description)
                for each in (*SERIES, *map(watchdog_series, WATCHDOG_GAUGES))
            ),
        ),
        "tags": _make_table(("name", "meaning"), ((each.name, each.description) for each in names.METRIC_TAGS)),
        "others": _make_table(("name", "meaning"), ((each.name, each.description) for each in names.OTHERS)),
    }


def _make_metric_table(metrics: Iterable[names.Metric]) -> str:
    return _make_table(
        ("name", "unit", "kind", "split by", "meaning"),
        ((each.name, each.unit, each.kind, ", ".join(each.tags), each.description) for each in metrics),
    )


def _make_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown. The first cell of a row is a name."""
    cells = [head, *((f"`{name}`", *rest) for name, *rest in rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|---" * len(head) + "|")
    return "".join(re.sub(r" {2,}\|", " |", line) + "\n" for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Write the tables, or with `--check` return 1 if they are out of date."""
    page = PAGE.read_text(encoding="utf-8")
    text = create_page_text(page)
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
    elif text != page:
        print("docs/telemetry.md differs from the catalogue of names: run ./dev names", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
