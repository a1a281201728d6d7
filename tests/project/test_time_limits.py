"""Limits of time on a busy machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import time_limits
from tests.project import ROOT
from tests.time_limits import MULTIPLIER_VARIABLE, Countdown, slowness


@pytest.mark.parametrize(("load", "expected"), [(0.0, 1.0), (2.0, 1.0), (3.0, 1.5), (40.0, 20.0)])
def test_a_machine_is_slow_by_its_load_for_each_core(
    monkeypatch: pytest.MonkeyPatch, load: float, expected: float
) -> None:
    monkeypatch.setattr(time_limits, "cores", lambda: 2)
    monkeypatch.setattr("os.getloadavg", lambda: (load, 9.0, 9.0))
    assert slowness() == expected


def test_time_counts_by_how_busy_the_machine_was_meanwhile() -> None:
    now, busy = 100.0, 1.0
    countdown = Countdown(60, lambda: now, lambda: busy)
    now, busy = 120.0, 1.0
    assert countdown.left() == 40
    now, busy = 320.0, 20.0  # 200 s of a machine with 20 times as much to do as it can
    assert countdown.left() == 30
    now, busy = 351.0, 1.0
    assert countdown.left() == -1


WAITS = """
import threading

def test_that_waits():
    threading.Event().wait(2)
"""


@pytest.mark.parametrize(
    ("load", "multiplier", "passes"),
    [(0.0, "1", False), (1e6, "1", True), (0.0, "1000", True)],
    ids=["idle", "busy", "multiplied"],
)
def test_a_timeout_of_a_test_counts_time_of_an_idle_machine(
    tmp_path: Path, load: float, multiplier: str, passes: bool
) -> None:
    (tmp_path / "test_these.py").write_text(f"import os\nos.getloadavg = lambda: ({load}, 0, 0)\n{WAITS}")
    command = [sys.executable, "-m", "pytest", "test_these.py", "-p", "tests.conftest", "--timeout=0.5"]
    environ = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", MULTIPLIER_VARIABLE: multiplier}
    command.append(f"--rootdir={tmp_path}")
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)

    assert ended.returncode == (0 if passes else 1), ended.stdout
    assert ("Timeout (>0.5s)" in ended.stdout) != passes
