"""The line coverage of the whole suite: the sum of the lanes that measure it. Called by `./dev test`.

Needs Python's standard library alone.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

COVERED = ("jobs", "scheduler")
MINIMUM_COVERAGE = 90.0
"""Percent of the lines of each covered package."""
COVERAGE_DATA = ".coverage"
"""The sum of what the measured lanes write, each to a file of this name with its own behind it."""


def coverage_is_high_enough(python: Path, root: Path, reports: Path) -> bool:
    """Print the line coverage of each covered package; write the reports that CI collects. False: one is too low."""
    data = reports / COVERAGE_DATA
    parts = sorted(reports.glob(f"{COVERAGE_DATA}.*"))
    if not parts:
        print("line coverage: not measured, see the lanes that measure it")
        return False
    for report in (
        ["combine", "--quiet", *map(str, parts)],
        ["xml", "--quiet", "-o", str(reports / "coverage.xml")],
        ["json", "--quiet", "-o", str(reports / "coverage.json")],
        ["report"],
    ):
        subprocess.run(
            [str(python), "-m", "coverage", report[0], f"--data-file={data}", *report[1:]], cwd=root, check=True
        )
    files = json.loads((reports / "coverage.json").read_text())["files"]
    high = True
    for package in COVERED:
        summaries = [file["summary"] for path, file in files.items() if Path(path).parts[0] == package]
        acquired, lines = (sum(part[key] for part in summaries) for key in ("covered_lines", "num_statements"))
        share = 100 * acquired / max(lines, 1)
        high = high and share >= MINIMUM_COVERAGE
        print(f"line coverage of {package}: {share:.1f} % (minimum {MINIMUM_COVERAGE:g} %)")
    return high
