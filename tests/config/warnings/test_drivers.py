"""A database check without its driver is a warning before its first run."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.job_files.reader import JobFileReader
from config.warnings import warnings_of_missing_drivers
from jobs.targets.databases import PostgresTarget

JOBS = """jobs:
  a: {schedule: null, check: {kind: postgres, host: db.internal, user: monitor}}
  b: {schedule: null, check: {kind: postgres, host: db.internal, user: monitor}}
  c: {schedule: null, check: {kind: mysql, host: db.internal, user: monitor}}
"""


def test_the_first_job_without_a_driver_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgresTarget, "DRIVER", "no_such_driver")
    (tmp_path / "jobs.yaml").write_text(JOBS)
    (found,) = warnings_of_missing_drivers(JobFileReader(tmp_path).read(tmp_path))
    assert str(found).startswith("jobs.yaml:2: jobs.a.check: checks of kind postgres fail here: the drivers")
    assert "requirements-databases.txt" in str(found)
