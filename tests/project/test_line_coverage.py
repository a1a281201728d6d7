"""The line coverage of the whole suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import line_coverage


def test_the_coverage_is_the_sum_of_the_measured_lanes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    for package in line_coverage.COVERED:
        (tmp_path / package).mkdir()
        (tmp_path / package / "code.py").write_text("A = 1\nB = 2\n")
        part = f"--data-file={reports / line_coverage.COVERAGE_DATA}.{package}"
        subprocess.run([sys.executable, "-m", "coverage", "run", part, f"{package}/code.py"], cwd=tmp_path, check=True)

    assert line_coverage.coverage_is_high_enough(Path(sys.executable), tmp_path, reports)
    assert "line coverage of scheduler: 100.0 %" in capsys.readouterr().out
