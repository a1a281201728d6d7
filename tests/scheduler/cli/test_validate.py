"""`validate`: job files that are well, and every problem of those that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scheduler.cli.command import invoke

GOOD = """
jobs:
  checkout-api:
    schedule: 0 */5 * * * *
    check: {url: "http://127.0.0.1:9/health?key=1", method: HEAD}
  off:
    enabled: false
    schedule: {every: 1m}
    check: {url: "http://127.0.0.1:9/"}
  on-demand:
    check: {url: "http://127.0.0.1:9/"}
  never:
    schedule: 0 0 0 30 2 *
    check: {url: "http://127.0.0.1:9/"}
"""
BAD = """
jobs:
  checkout-api:
    schedule: 99 * * * * *
    retires: 3
    check: {url: "http://127.0.0.1:9/"}
"""


@pytest.fixture
def good(tmp_path: Path) -> str:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    return str(file)


@pytest.fixture
def bad(tmp_path: Path) -> str:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    return str(file)


def test_jobs_of_a_good_file_are_listed_with_tabs_in_a_pipe(good: str) -> None:
    said = invoke("validate", good)

    rows = [line.split("\t") for line in said.lines]
    assert (said.code, said.stderr) == (0, "4 jobs, no problem\n")
    assert rows[0] == ["name", "schedule", "check", "next_at", "depends_on"]
    assert rows[1][:3] == ["checkout-api", "0 */5 * * * *", "http HEAD http://127.0.0.1:9/health"]
    assert rows[1][3].endswith(":00.000Z")
    assert rows[2:] == [
        ["off", "every 1m", "http GET http://127.0.0.1:9/", "", ""],
        ["on-demand", "", "http GET http://127.0.0.1:9/", "", ""],
        ["never", "0 0 0 30 2 *", "http GET http://127.0.0.1:9/", "", ""],
    ]


def test_a_terminal_says_why_a_job_has_no_next_run(good: str) -> None:
    said = invoke("validate", good, terminal=True)

    ends = {line.split()[0]: line.rstrip() for line in said.lines if line.strip()}
    assert ends["off"].endswith("disabled")
    assert ends["on-demand"].endswith("on demand")
    assert ends["never"].endswith("never")
    assert "UTC" in ends["checkout-api"]


def test_every_problem_is_told_with_its_place(bad: str) -> None:
    said = invoke("validate", bad)

    assert (said.code, said.stdout) == (2, "")
    assert f"{bad}:4: jobs.checkout-api.schedule: " in said.stderr
    assert f"{bad}:5: jobs.checkout-api.retires: unknown key, did you mean retry?" in said.stderr


def test_json_holds_the_jobs(good: str) -> None:
    told = json.loads(invoke("validate", good, "--json").stdout)

    assert told["valid"] is True
    assert told["jobs"][1] == {
        "name": "off",
        "enabled": False,
        "schedule": {"every": "1m"},
        "depends_on": [],
        "check": "http GET http://127.0.0.1:9/",
        "next_at": None,
    }


def test_json_holds_the_problems(bad: str) -> None:
    said = invoke("validate", bad, "--json")

    told = json.loads(said.stdout)
    assert (said.code, told["valid"]) == (2, False)
    assert [(problem["line"], problem["where"]) for problem in told["problems"]] == [
        (4, "jobs.checkout-api.schedule"),
        (5, "jobs.checkout-api.retires"),
    ]


def test_a_folder_is_checked_file_by_file(tmp_path: Path, good: str, bad: str) -> None:
    said = invoke("validate", str(tmp_path))

    assert said.code == 2
    assert "bad.yaml:4" in said.stderr


def test_a_path_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    said = invoke("validate", str(tmp_path / "none.yaml"))

    assert (said.code, said.stdout) == (2, "")
    assert "no such file" in said.stderr


def test_without_a_path_the_configured_jobs_are_checked(job_folder: Path) -> None:
    (job_folder / "jobs.yaml").write_text(GOOD)

    assert len(invoke("validate").lines) == 5


def test_without_a_path_the_settings_are_checked_too(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job_folder / "jobs.yaml").write_text(BAD)
    monkeypatch.setenv("SCHEDULER_PRT", "80")

    said = invoke("validate")

    assert said.code == 2
    assert "SCHEDULER_PRT: unknown setting, did you mean SCHEDULER_PORT?" in said.stderr
    assert "retires" in said.stderr


def test_targets_that_may_not_be_asked_are_a_warning(good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_TARGETS__NETWORKS", "10.0.0.0/8")
    said = invoke("validate", good)
    assert said.code == 0
    assert said.stderr == (
        "4 jobs, no problem\n"
        "3 jobs have targets that may not be asked: checkout-api, on-demand, never. "
        "Not asked: 127.0.0.1 is a loopback address, of no network that may be asked. "
        "To allow it, name its network in the setting targets.networks (SCHEDULER_TARGETS__NETWORKS).\n"
    )


def test_files_are_checked_also_where_the_settings_are_wrong(good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_TARGETS__NETWORKS", "no network")
    assert invoke("validate", good).code == 0
