"""`validate`: job files that are well, and every problem of those that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.targets.databases import PostgresTarget
from tests.scheduler.cli.invocation import invoke

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
    output = invoke("validate", good)

    rows = [line.split("\t") for line in output.lines]
    assert output.code == 0
    assert output.stderr.endswith("4 jobs, no problem, 1 warning\n")
    assert rows[0] == ["name", "schedule", "check", "next_at", "depends_on"]
    assert rows[1][:3] == ["checkout-api", "0 */5 * * * *", "http HEAD http://127.0.0.1:9/health"]
    assert rows[1][3].endswith(":00.000Z")
    assert rows[2:] == [
        ["off", "every 1m", "http GET http://127.0.0.1:9/", "", ""],
        ["on-demand", "", "http GET http://127.0.0.1:9/", "", ""],
        ["never", "0 0 0 30 2 *", "http GET http://127.0.0.1:9/", "", ""],
    ]


def test_a_terminal_reports_why_a_job_has_no_next_run(good: str) -> None:
    output = invoke("validate", good, terminal=True)

    ends = {line.split()[0]: line.rstrip() for line in output.lines if line.strip()}
    assert ends["off"].endswith("disabled")
    assert ends["on-demand"].endswith("on demand")
    assert ends["never"].endswith("never")
    assert "UTC" in ends["checkout-api"]


def test_a_terminal_shows_the_first_of_many_jobs_that_a_job_depends_on(tmp_path: Path) -> None:
    names = [f"a-job-with-a-rather-long-name-{number}" for number in range(50)]
    jobs = {name: {"check": {"url": "http://a.test"}} for name in names}
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps({"jobs": {**jobs, "last": {"check": {"url": "http://a.test"}, "depends_on": names}}}))

    shown = invoke("validate", str(file), terminal=True).stdout

    assert "after a-job-with-a-rather-long-name-0," in " ".join(shown.split())
    assert "…" in shown
    assert names[49] in invoke("validate", str(file)).stdout.splitlines()[-1]


def test_every_problem_is_reported_with_its_place(bad: str) -> None:
    output = invoke("validate", bad)

    assert (output.code, output.stdout) == (2, "")
    assert f"{bad}:4: jobs.checkout-api.schedule: " in output.stderr
    assert f"{bad}:5: jobs.checkout-api.retires: unknown key, did you mean retry?" in output.stderr


def test_json_holds_the_jobs(good: str) -> None:
    reported = json.loads(invoke("validate", good, "--json").stdout)

    assert reported["valid"] is True
    assert reported["jobs"][1] == {
        "name": "off",
        "enabled": False,
        "schedule": {"every": "1m"},
        "has_default_schedule": False,
        "depends_on": [],
        "check": "http GET http://127.0.0.1:9/",
        "next_at": None,
    }


def test_json_holds_the_problems(bad: str) -> None:
    output = invoke("validate", bad, "--json")

    reported = json.loads(output.stdout)
    assert (output.code, reported["valid"]) == (2, False)
    assert [(problem["line"], problem["key"]) for problem in reported["problems"]] == [
        (4, "jobs.checkout-api.schedule"),
        (5, "jobs.checkout-api.retires"),
    ]


def test_a_folder_is_checked_file_by_file(tmp_path: Path, good: str, bad: str) -> None:
    output = invoke("validate", str(tmp_path))

    assert output.code == 2
    assert "bad.yaml:4" in output.stderr


def test_a_path_that_is_missing_ends_with_2(tmp_path: Path) -> None:
    output = invoke("validate", str(tmp_path / "none.yaml"))

    assert (output.code, output.stdout) == (2, "")
    assert "no such file" in output.stderr


def test_without_a_path_the_configured_jobs_are_checked(job_folder: Path) -> None:
    (job_folder / "jobs.yaml").write_text(GOOD)

    assert len(invoke("validate").lines) == 5


def test_without_a_path_the_settings_are_checked_too(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job_folder / "jobs.yaml").write_text(BAD)
    monkeypatch.setenv("SCHEDULER_PRT", "80")

    output = invoke("validate")

    assert output.code == 2
    assert "SCHEDULER_PRT: unknown setting, did you mean SCHEDULER_PORT?" in output.stderr
    assert "retires" in output.stderr


def test_targets_that_may_not_be_requested_are_warnings(good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_TARGETS__NETWORKS", "10.0.0.0/8")
    output = invoke("validate", good)
    denied = (
        "Not sent: 127.0.0.1 is a loopback address outside the allowed networks. "
        "To allow it, add its network to the setting targets.networks (SCHEDULER_TARGETS__NETWORKS)."
    )
    assert output.code == 0
    assert output.stderr.splitlines() == [
        f"{good}:3: warning: checkout-api: {denied}",
        f"{good}:10: warning: on-demand: {denied}",
        f"{good}:12: warning: never: {denied}",
        f"{good}:13: warning: jobs.never.schedule: is never due: no date matches '0 0 0 30 2 *'; "
        "fix it, or remove the schedule if the job runs on demand",
        "4 jobs, no problem, 4 warnings",
    ]


def test_files_are_checked_also_where_the_settings_are_wrong(good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_TARGETS__NETWORKS", "no network")
    output = invoke("validate", good)
    assert output.code == 0
    assert "targets and secrets were not checked: the settings are invalid" in output.stderr


CLEAN = """
jobs:
  checkout-api:
    check: {url: "http://127.0.0.1:9/", auth: {kind: bearer, token: {secret: checkout-token}}}
"""


@pytest.fixture
def clean(tmp_path: Path) -> str:
    file = tmp_path / "clean.yaml"
    file.write_text(CLEAN)
    return str(file)


def test_strict_makes_warnings_fail(good: str) -> None:
    output = invoke("validate", good, "--strict")
    assert output.code == 2
    assert output.stderr.endswith("4 jobs, no problem, 1 warning\n--strict treats warnings as problems\n")


def test_strict_is_content_with_what_has_no_warning(clean: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_SECRET_CHECKOUT_TOKEN", "x")
    output = invoke("validate", clean, "--strict")
    assert (output.code, output.stderr) == (0, "1 job, no problem\n")


def test_a_secret_that_cannot_be_read_is_a_warning_unless_secrets_are_skipped(clean: str) -> None:
    output = invoke("validate", clean, "--strict")
    assert output.code == 2
    assert (
        f"{clean}:4: warning: jobs.checkout-api.check.auth.token: secret checkout-token: the variable" in output.stderr
    )
    assert invoke("validate", clean, "--strict", "--no-secrets").code == 0


def test_json_holds_the_warnings_with_file_line_and_key(good: str) -> None:
    output = invoke("validate", good, "--json")
    reported = json.loads(output.stdout)
    assert reported["valid"] is True
    (warning,) = reported["warnings"]
    assert (warning["file"], warning["line"], warning["key"]) == (good, 13, "jobs.never.schedule")
    assert warning["message"].startswith("is never due")
    assert "warning:" not in output.stderr

    strict = invoke("validate", good, "--json", "--strict")
    assert (strict.code, json.loads(strict.stdout)["valid"]) == (2, False)


def test_json_holds_the_warnings_next_to_problems(tmp_path: Path, good: str, bad: str) -> None:
    reported = json.loads(invoke("validate", str(tmp_path), "--json").stdout)
    assert reported["valid"] is False
    assert [warning["key"] for warning in reported["warnings"]] == ["jobs.never.schedule"]


def test_a_terminal_shows_problems_red_and_warnings_yellow(
    tmp_path: Path, good: str, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    output = invoke("validate", str(tmp_path), terminal=True, colours=True)
    lines = output.stderr.splitlines()
    assert lines[0].startswith("\x1b[31m")
    assert lines[-1].startswith("\x1b[33m")
    assert "warning: jobs.never.schedule" in lines[-1]


def test_a_folder_without_jobs_is_a_warning(tmp_path: Path) -> None:
    output = invoke("validate", str(tmp_path), "--strict")
    assert output.code == 2
    assert f"{tmp_path}: warning: has no job, so nothing is checked" in output.stderr


def test_a_flat_job_without_a_schedule_shows_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text('{"a": {"Endpoint": "http://127.0.0.1:9/"}}')
    row = invoke("validate", str(tmp_path)).lines[1].split("\t")
    assert row[:2] == ["a", "0 * * * * * (default_schedule)"]
    assert row[3].endswith(":00.000Z")
    monkeypatch.setenv("SCHEDULER_DEFAULT_SCHEDULE", "none")
    assert invoke("validate", str(tmp_path)).lines[1].split("\t")[:4] == ["a", "", "http GET http://127.0.0.1:9/", ""]
    monkeypatch.setenv("SCHEDULER_PRT", "1")
    assert invoke("validate", str(tmp_path)).lines[1].split("\t")[1] == "0 * * * * * (default_schedule)"


def test_more_runs_in_one_second_than_a_process_can_start_are_one_warning(tmp_path: Path) -> None:
    check = {"url": "http://127.0.0.1:9/"}
    jobs = {f"job-{number}": {"schedule": "0 * * * * *", "check": check} for number in range(1200)}
    file = tmp_path / "many.json"
    file.write_text(json.dumps({"jobs": jobs}))
    output = invoke("validate", str(file), "--json")
    warnings = json.loads(output.stdout)["warnings"]

    assert (output.code, len(warnings)) == (0, 1)
    assert "1200 runs are due in the second of " in warnings[0]["message"]
    assert "jitter: 4s" in warnings[0]["hint"]


def test_a_database_without_its_driver_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostgresTarget, "DRIVER", "no_such_driver")
    file = tmp_path / "jobs.yaml"
    file.write_text("jobs: {a: {schedule: null, check: {kind: postgres, host: db.internal, user: monitor}}}")
    result = invoke("validate", str(file))
    assert "requirements-databases.txt" in result.stderr


def test_the_roles_and_tokens_that_jobs_need(tmp_path: Path) -> None:
    one, two = (f"00000000-0000-4000-8000-00000000000{number}" for number in "12")
    graph = "https://graph.microsoft.com/v1.0/applications"
    page = {"url": "https://api.example/"}
    query = {"kind": "azure_query", "query": "resources | count"}
    jobs = {
        "spent": {"preset": "budget", "with": {"subscription": one}},
        "also": {"preset": "budget", "with": {"subscription": one}, "check": {"role": "Reader"}},
        "all": {"schedule": "every 1h", "check": {**query, "subscriptions": [one, two]}},
        "logs": {"schedule": "every 1h", "check": {**query, "workspace": two, "role": "Log Analytics Reader"}},
        "apps": {"schedule": "every 1h", "check": {"kind": "azure_resource", "resource": graph}},
        "api": {"check": {**page, "auth": {"kind": "managed_identity", "scope": "api://x/.default"}}},
        "open": {"check": page},
    }
    (tmp_path / "jobs.json").write_text(json.dumps({"jobs": jobs}))

    printed = invoke("validate", str(tmp_path), "--explain-access", "--no-secrets")
    as_json = json.loads(invoke("validate", str(tmp_path), "--explain-access", "--no-secrets", "--json").stdout)

    management = "https://management.azure.com/.default"
    rows = [
        ("", "", "api://x/.default", "api"),
        ("", "", "https://graph.microsoft.com/.default", "apps"),
        ("Cost Management Reader", f"/subscriptions/{one}", management, "spent"),
        ("Log Analytics Reader", f"workspace {two}", "https://api.loganalytics.azure.com/.default", "logs"),
        ("Reader", f"/subscriptions/{one}", management, "also, all"),
        ("Reader", f"/subscriptions/{two}", management, "all"),
    ]
    assert printed.code == 0
    assert printed.lines == ["role\tscope\ttoken\tjobs", *map("\t".join, rows)]
    assert [(*list(each.values())[:3], ", ".join(each["jobs"])) for each in as_json["access"]] == rows
    assert len(as_json["jobs"]) == len(jobs)
