"""How much is reported of a job, in job files."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.job_files.reader import JobFileReader
from jobs.definition import JobDefinition
from jobs.policies.execution import REPORT_EVERYTHING, Reporting, TelemetryPolicy, resolve_reporting

JOB = """\
jobs:
  pay:
    check: {kind: http, url: "http://127.0.0.1/"}
    telemetry: %s
"""


def read(folder: Path, telemetry: str) -> JobDefinition:
    (folder / "jobs.yaml").write_text(JOB % telemetry)
    (job,) = JobFileReader(folder).read(folder)
    return job


def problem(folder: Path, telemetry: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, telemetry)
    return str(caught.value)


def test_a_job_reports_what_it_requires_and_has_the_rest_as_in_the_settings(tmp_path: Path) -> None:
    policy = read(tmp_path, "{events: all, metrics: none}").telemetry
    assert resolve_reporting(policy, Reporting(spans="none")) == Reporting(
        events="all", availability="failures", spans="none", metrics="none"
    )


@pytest.mark.parametrize("usual", [Reporting(), REPORT_EVERYTHING])
def test_a_job_that_reports_nothing_is_as_in_the_settings(usual: Reporting) -> None:
    assert resolve_reporting(None, usual) is usual
    assert resolve_reporting(TelemetryPolicy(), usual) is usual


@pytest.mark.parametrize(
    ("written", "output"),
    [
        ("{events: some}", "jobs.pay.telemetry.events: 'some' is not allowed"),
        ("{metrics: failures}", "jobs.pay.telemetry.metrics: 'failures' is not allowed"),
        ("{traces: all}", "jobs.pay.telemetry.traces: unknown key"),
        ("{event: all}", "did you mean events?"),
        ("none", "jobs.pay.telemetry: "),
    ],
)
def test_what_is_wrong_is_reported_with_its_place(tmp_path: Path, written: str, output: str) -> None:
    found = problem(tmp_path, written)
    assert "jobs.yaml:4: " in found
    assert output in found


def test_defaults_of_a_file_hold_for_its_jobs(tmp_path: Path) -> None:
    text = 'defaults: {telemetry: {spans: all}}\njobs: {pay: {check: {kind: http, url: "http://127.0.0.1/"}}}\n'
    (tmp_path / "jobs.yaml").write_text(text)
    (job,) = JobFileReader(tmp_path).read(tmp_path)
    assert job.telemetry == TelemetryPolicy(spans="all")


def test_a_change_of_it_does_not_make_another_job_of_it(tmp_path: Path) -> None:
    assert read(tmp_path, "{events: all}").generation() == read(tmp_path, "{events: none}").generation()
