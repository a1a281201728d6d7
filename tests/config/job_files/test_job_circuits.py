"""Circuits in job files: how they are written, and that all jobs of a group have to agree."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from config.errors import ConfigurationError
from config.job_files.reader import JobFileReader
from jobs.definition import JobDefinition

CHECK = "check: {kind: http, url: 'http://127.0.0.1/'}"


def read(folder: Path, **files: str) -> list[JobDefinition]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(dedent(text).replace("CHECK", CHECK))
    return list(JobFileReader(folder).read(folder))


def problems(folder: Path, **files: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, **files)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("{consecutive_failures: 3}", "pay"),
        ("{consecutive_failures: 3, group: payments}", "group:payments"),
        ("null", None),
    ],
)
def test_a_circuit_is_called_by_its_job_or_its_group(tmp_path: Path, written: str, key: str | None) -> None:
    (job,) = read(tmp_path, jobs=f"jobs: {{pay: {{CHECK, circuit: {written}}}}}")
    assert job.circuit_key == key


@pytest.mark.parametrize(("written", "window"), [("20", 20), ("5m", 300.0), ("1000", 1000), ("1d", 86400.0)])
def test_a_window_is_a_number_of_runs_or_a_time_and_is_written_back_as_it_was(
    tmp_path: Path, written: str, window: int | float
) -> None:
    (job,) = read(tmp_path, jobs=f"jobs: {{pay: {{CHECK, circuit: {{failure_rate: 0.5, window: {written}}}}}}}")
    assert job.circuit is not None
    assert job.circuit.window == window
    assert type(job.circuit.window) is type(window)
    assert str(job.circuit.model_dump(mode="json")["window"]) == written


@pytest.mark.parametrize(
    ("written", "reported"),
    [
        ("{failure_rate: 0.5, window: 0}", "circuit.window: 0 runs: the window must be 1 to 1000 runs"),
        ("{failure_rate: 0.5, window: 1001}", "circuit.window: 1001 runs"),
        ("{failure_rate: 0.5, window: 2d}", "circuit.window: 2d: the window must be 100ms to 1d"),
        ("{failure_rate: 0.5, window: 1ms}", "circuit.window: 1ms: the window must be 100ms to 1d"),
        (
            "{failure_rate: 0.5, window: soon}",
            "circuit.window: the window must be a number of runs, such as 20",
        ),
        ("{failure_rate: 0.5, window: true}", "circuit.window: the window must be a number of runs"),
        (
            "{failure_rate: 0.5, window: 5, minimum_calls: 10}",
            "circuit: minimum_calls (10) must not be more than window (5)",
        ),
        ("{failure_rate: 1.5}", "circuit.failure_rate"),
        ("{slow_rate: 0.5}", "circuit: slow_rate and slow_call require each other: add slow_call"),
        (
            "{consecutive_failures: 2, slow_call: 1s}",
            "circuit: slow_rate and slow_call require each other: add slow_rate",
        ),
        ("{slow_rate: 0.5, slow_call: 0s}", "circuit.slow_call"),
        ("{consecutive_failures: 2, group: 'a b'}", "circuit.group"),
        ("{open_for: 5s}", "circuit: no condition to open"),
    ],
)
def test_what_is_no_circuit_is_reported_with_its_place(tmp_path: Path, written: str, reported: str) -> None:
    (problem,) = problems(tmp_path, jobs=f"jobs:\n  pay:\n    CHECK\n    circuit: {written}\n")
    assert problem.startswith(f"jobs.yaml:4: jobs.pay.{reported}")


def test_jobs_that_agree_share_the_circuit_of_their_group(tmp_path: Path) -> None:
    text = """\
    jobs:
      pay: {CHECK, circuit: {consecutive_failures: 3, group: payments}}
      refund: {CHECK, circuit: {group: payments, consecutive_failures: 3}}
    """
    assert {job.circuit_key for job in read(tmp_path, jobs=text)} == {"group:payments"}


def test_jobs_that_give_the_circuit_of_their_group_different_policies_are_refused_with_both_names(
    tmp_path: Path,
) -> None:
    second = """\
    jobs:
      refund:
        CHECK
        circuit: {consecutive_failures: 3, open_for: 5m, group: payments}
    """
    first = "jobs: {pay: {CHECK, circuit: {consecutive_failures: 3, group: payments}}}"
    assert problems(tmp_path, a=first, b=second) == [
        "b.yaml:4: jobs.refund.circuit: refund and pay (a.yaml:1) share the circuit of the group payments, "
        "but differ in its open_for; give the group one circuit in all of its jobs"
    ]
