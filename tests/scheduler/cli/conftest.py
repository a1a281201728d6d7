"""Every command has an environment of its own: job files in a folder, state in a file, a wide terminal in UTC, and no
profiles of a user."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    profiles = str(tmp_path / "config")
    plain = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "xterm", "TZ": "UTC", "XDG_CONFIG_HOME": profiles}
    for name, value in plain.items():
        monkeypatch.setenv(name, value)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def job_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configured folder of job files, empty; the store is a fresh file."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    monkeypatch.setenv("SCHEDULER_ENVIRONMENT", "test")
    monkeypatch.setenv("SCHEDULER_JOBS", str(folder))
    monkeypatch.setenv("SCHEDULER_STORE", f"sqlite:///{tmp_path / 'state.db'}")
    return folder
