"""Warnings about jobs are logged once, and again only when they come back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.problems import Problem
from scheduler.catalog.job_warnings import MAX_LOGGED_WARNINGS, WarningLog

ODD = Problem("jobs.a.schedule", "is never due", "correct it", "jobs/a.yaml", 3)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "scheduler.job_files"]


def test_a_warning_is_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    WarningLog().log_new([ODD])
    assert lines(caplog) == ["jobs/a.yaml:3: jobs.a.schedule: is never due; correct it"]


def test_the_same_warning_of_the_next_set_is_not_logged_again_also_in_another_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = WarningLog()
    log.log_new([ODD])
    log.log_new([replace(ODD, line=7)])
    assert len(lines(caplog)) == 1


def test_a_warning_that_was_fixed_and_comes_back_is_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    log = WarningLog()
    for warnings in ([ODD], [], [ODD]):
        log.log_new(warnings)
    assert len(lines(caplog)) == 2


def test_of_many_warnings_the_first_are_logged_and_the_others_counted(caplog: pytest.LogCaptureFixture) -> None:
    WarningLog().log_new(replace(ODD, key=f"jobs.a{number}") for number in range(MAX_LOGGED_WARNINGS + 5))
    assert len(lines(caplog)) == MAX_LOGGED_WARNINGS + 1
    assert lines(caplog)[-1] == "job files: 5 more warnings; the command `validate` lists all"
