"""Stored jobs on the command line: commands that know them, sets, versions, restore and delete."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.cli.invocation import CommandResult, Terminal, invoke
from tests.scheduler.cli.job_files import write_jobs

CHECK = {"kind": "tcp", "host": "127.0.0.1", "port": 9}
API: dict[str, Any] = {"schedule": "every 1m", "check": CHECK, "retry": {"attempts": 1}}
DAILY: dict[str, Any] = {"check": CHECK, "depends_on": ["checkout"]}


@pytest.fixture
def desired(job_folder: Path) -> Path:
    """The file of the set `reports`; the job file has the job `checkout`."""
    write_jobs(job_folder, checkout=API)
    return write_set(job_folder.parent / "reports.json", reports_api=API, reports_daily=DAILY)


@pytest.fixture
def applied(desired: Path) -> Path:
    assert apply(desired).code == 0
    return desired


def write_set(file: Path, **jobs: dict[str, Any]) -> Path:
    file.write_text(json.dumps({"jobs": {name.replace("_", "-"): job for name, job in jobs.items()}}))
    return file


def apply(file: Path, *options: str) -> CommandResult:
    return invoke("apply", str(file), "--set", "reports", *(options or ("--yes",)))


def plan(file: Path, *options: str) -> CommandResult:
    return invoke("plan", str(file), "--set", "reports", *options)


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("words", "code", "output"),
    [
        (("jobs",), 0, "reports-daily\t"),
        (("jobs", "--yaml"), 0, "reports-api:"),
        (("next", "reports-api", "--count", "1"), 0, ":00Z"),
        (("explain", "reports-api"), 0, "inute"),
        (("run", "reports-api"), 1, "reports-api failed after 1 attempt"),
        (("pause", "reports-api"), 0, "reports-api is paused"),
        (("pause", "reports-*"), 0, "reports-daily\tdone"),
        (("resume", "reports-api"), 0, "reports-api was not paused"),
        (("history", "reports-api"), 0, "due_at\t"),
        (("uptime", "reports-api"), 0, "24h\t"),
        (("stats", "reports-api"), 0, ""),
        (("validate", "--stored"), 0, "reports-daily\t"),
        (("backfill", "reports-api", "--from", "2100-01-01", "--dry-run"), 2, ""),
    ],
)
def test_a_command_knows_stored_jobs(words: tuple[str, ...], code: int, output: str) -> None:
    result = invoke(*words)

    assert result.code == code, result
    assert output in result.stdout
    assert "there is no job" not in result.stderr


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize("command", ["next", "run", "pause", "resume", "history"])
def test_a_wrong_name_is_compared_with_those_of_stored_jobs(command: str) -> None:
    result = invoke(command, "report-api")

    assert (result.code, result.stdout) == (2, "")
    assert "there is no job named 'report-api', did you mean reports-api?" in result.stderr


def test_a_stored_job_that_a_file_replaces_is_reported(applied: Path, job_folder: Path) -> None:
    write_jobs(job_folder, reports_api=API)

    alone, together = invoke("validate"), invoke("validate", "--stored")

    assert (alone.code, "reports-daily" in alone.stderr) == (0, False)
    assert together.code == 0
    assert "reports-api: name: the stored job is not in force: a job file defines this job" in together.stderr
    assert "reports-daily: depends_on[0]: the stored job is not in force: there is no job named" in together.stderr
    assert invoke("validate", "--stored", "--strict").code == 2
    assert "the stored job reports-daily is not in force" in invoke("jobs").stderr
    assert "the stored job reports-daily is not in force: depends_on[0]" in invoke("run", "reports-daily").stderr


def test_validate_names_the_stored_job_whose_target_is_denied(
    job_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write_set(job_folder.parent / "a.json", a={"check": {"url": "http://10.0.0.1/"}})
    assert apply(job).code == 0
    monkeypatch.setenv("SCHEDULER_TARGETS__NETWORKS", "192.168.0.0/16")
    monkeypatch.setenv("SCHEDULER_ENVIRONMENT", "prod")

    assert "10.0.0.1" in invoke("validate", "--stored").stderr


@pytest.mark.parametrize("words", [("validate",), ("next", "checkout"), ("next", "every 1m")])
def test_what_files_answer_needs_no_store(
    words: tuple[str, ...], job_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jobs(job_folder, checkout=API)
    monkeypatch.setenv("SCHEDULER_STORE", "sqlite:////proc/nowhere/state.db")

    assert invoke(*words).code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("next", "other"), "no job file defines 'other', and the stored jobs cannot be read: "),
        (("validate", "--stored"), "/proc/nowhere"),
    ],
)
def test_what_only_the_store_answers_ends_with_1_without_it(
    words: tuple[str, ...], message: str, job_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jobs(job_folder, checkout=API)
    monkeypatch.setenv("SCHEDULER_STORE", "sqlite:////proc/nowhere/state.db")

    result = invoke(*words)

    assert (result.code, message in result.stderr) == (1, True), result


def test_a_plan_shows_what_apply_then_does(desired: Path) -> None:
    before = plan(desired)
    plan_hash = before.lines[-1].removeprefix("plan hash: ")
    result = apply(desired, "--plan-hash", plan_hash)

    assert before.code == 3
    assert before.lines[0] == "set reports: 2 added, 0 changed, 0 removed, 0 unchanged"
    assert before.lines[1].startswith("+ reports-api  next run ")
    assert json.loads(plan(desired, "--json").stdout)["unchanged"] == 2
    assert (result.code, result.lines[2]) == (0, "+ reports-daily")
    assert "the set reports was applied: 2 added" in result.stderr
    assert plan(desired).code == 0


def test_fields_are_compared_and_missing_jobs_deleted(applied: Path) -> None:
    write_set(applied, reports_api={**API, "schedule": "every 30s"})

    result = apply(applied, "--yes", "--json")

    applied_plan = json.loads(result.stdout)
    assert (result.code, applied_plan["applied"]) == (0, True)
    assert [one["name"] for one in applied_plan["removed"]] == ["reports-daily"]
    assert applied_plan["changed"][0]["fields"] == [{"path": "schedule.every", "before": "1m", "after": "30s"}]
    diff = invoke("versions", "reports-api", "--diff", "1", "2")
    assert (diff.code, diff.stdout) == (0, 'schedule.every: "1m" -> "30s"\n')


def test_a_hash_of_another_plan_changes_nothing(desired: Path) -> None:
    result = apply(desired, "--plan-hash", "0" * 32)

    assert (result.code, result.stdout) == (1, "")
    assert "have changed since the plan: plan again" in result.stderr
    assert plan(desired).code == 3


@pytest.mark.parametrize(("answer", "code", "message"), [("y\n", 0, "was applied: 2 added"), ("n\n", 1, "nothing was")])
def test_a_person_confirms_the_plan(
    answer: str, code: int, message: str, desired: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))

    result = invoke("apply", str(desired), "--set", "reports", terminal=True)

    assert (result.code, message in result.stderr) == (code, True), result
    assert "+ reports-daily" in result.stdout
    assert plan(desired).code == (0 if code == 0 else 3)


def test_a_program_must_confirm_the_plan(desired: Path) -> None:
    result = invoke("apply", str(desired), "--set", "reports")

    assert (result.code, "give --plan-hash" in result.stderr) == (2, True)
    assert plan(desired).code == 3


def test_a_plan_names_the_job_whose_secret_is_unavailable(desired: Path) -> None:
    secret = {"auth": {"kind": "bearer", "token": {"secret": "reports-token"}}}
    check = {"url": "https://reports.example.com/", **secret}

    planned = plan(write_set(desired, reports_api=API, reports_daily={"check": check}))

    assert planned.code == 3
    assert "jobs.reports-daily.check.auth.token: secret reports-token: " in planned.stderr


def test_a_job_of_a_file_or_of_another_set_is_a_conflict(applied: Path) -> None:
    other = write_set(applied, reports_api=API, checkout=API)

    planned = invoke("plan", str(other), "--set", "others")
    refused = invoke("apply", str(other), "--set", "others", "--yes")

    assert (planned.code, refused.code) == (1, 1)
    assert "conflict: the job checkout is defined in " in planned.stderr
    assert "conflict: the job reports-api belongs to the set reports; adopt it" in planned.stderr
    assert "the set others cannot have these jobs: " in refused.stderr
    write_set(applied, reports_api=API)
    assert invoke("apply", str(other), "--set", "others", "--adopt", "--yes").code == 0


def test_every_problem_has_its_file_and_line(desired: Path) -> None:
    second = desired.with_name("second.yaml")
    second.write_text("jobs:\n  one: {schedule: evry 1m, check: {kind: tcp, host: a, port: 1}}\n  two: {check: {}}\n")

    result = invoke("plan", str(second), str(desired), "nowhere.yaml", "--set", "reports")

    assert (result.code, result.stdout) == (2, "")
    assert f"{second}:2: jobs.one.schedule: " in result.stderr
    assert f"{second}:3: jobs.two.check" in result.stderr
    assert "nowhere.yaml: cannot be read" in result.stderr


def test_a_job_that_does_not_fit_has_its_file_and_line(desired: Path) -> None:
    second = desired.with_name("second.yaml")
    second.write_text("jobs:\n  one: {check: {kind: tcp, host: a, port: 1}, depends_on: [chekout]}\n")

    result = invoke("plan", str(second), "--set", "reports")

    assert result.code == 2
    place = f"{second}:2: jobs.one.depends_on[0]"
    assert f"{place}: there is no job named 'chekout', did you mean checkout?" in result.stderr


def test_a_job_in_two_files_of_a_set_is_refused(desired: Path) -> None:
    second = write_set(desired.with_name("second.json"), reports_api=API)

    result = invoke("plan", str(desired), str(second), "--set", "reports")

    assert (result.code, f"reports-api: is also defined in {desired}:1" in result.stderr) == (2, True), result


def test_defaults_and_flat_jobs_are_those_of_their_files(job_folder: Path) -> None:
    files = job_folder.parent / "sets"
    files.mkdir()
    (files / "a.yaml").write_text(
        "defaults: {tags: {team: a}}\njobs: {a: {check: {kind: tcp, host: 127.0.0.1, port: 9}}}\n"
    )
    (files / "flat.json").write_text('{"Endpoint": "http://127.0.0.1:9/", "Schedule": "0 */5 * * * *"}')

    assert apply(files).code == 0
    assert [line.split("\t")[0] for line in invoke("jobs").lines] == ["name", "a", "flat"]
    assert [line.split("\t")[0] for line in invoke("jobs", "--tag", "team=a").lines] == ["name", "a"]


def test_a_deleted_job_is_restored_and_stays_paused(applied: Path) -> None:
    invoke("pause", "reports-api")
    deleted = invoke("delete", "reports-api")
    unknown = invoke("run", "reports-api")
    restored = invoke("restore", "reports-api", "1")

    assert (deleted.code, deleted.stdout) == (0, "reports-api was deleted\n")
    assert "`restore reports-api 1` restores it" in deleted.stderr
    assert unknown.code == 2
    assert restored.stdout == "reports-api has the definition of version 1, as version 3\n"
    assert "paused until it is resumed" in invoke("jobs").stdout
    listed = [line.split("\t") for line in invoke("versions", "reports-api").lines]
    assert [(line[0], line[4]) for line in listed] == [
        ("number", "state"),
        ("3", "defined"),
        ("2", "deleted"),
        ("1", "defined"),
    ]


def test_changes_are_in_the_audit_trail_with_the_account(applied: Path) -> None:
    invoke("delete", "reports-api")

    entries = json.loads(invoke("audit", "list", "--json").stdout)["entries"]

    assert [entry["action"] for entry in entries] == ["job.delete", "set.apply"]
    assert all(entry["source"] == "command_line" for entry in entries)


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("delete", "checkout"), 1, "and job files are changed as files only"),
        (("versions", "checkout"), 2, "the job checkout is defined in "),
        (("delete", "other"), 2, "there is no stored job named 'other'; `jobs` lists all jobs"),
        (("restore", "other", "1"), 2, "there is no stored job named 'other'"),
        (("versions", "other"), 2, "there is no stored job named 'other'"),
        (("versions", "report-api"), 2, "there is no stored job named 'report-api', did you mean reports-api?"),
        (("restore", "reports-api", "9"), 1, "is not retained; `versions reports-api` lists its versions"),
        (("versions", "reports-api", "--diff", "1", "9"), 1, "is not retained; `versions reports-api` lists"),
    ],
)
def test_what_cannot_be_changed_is_explained(words: tuple[str, ...], code: int, message: str) -> None:
    result = invoke(*words)

    assert (result.code, result.stdout, message in result.stderr) == (code, "", True), result


@pytest.mark.usefixtures("applied")
def test_a_job_that_another_one_needs_is_not_deleted(job_folder: Path) -> None:
    file = write_set(job_folder.parent / "reports.json", reports_api=API, reports_daily={**DAILY, "depends_on": []})
    write_set(file, reports_api=API, reports_daily={**DAILY, "depends_on": ["reports-api"]})
    apply(file)

    result = invoke("delete", "reports-api")

    assert (result.code, "the job reports-daily would no longer be in force" in result.stderr) == (1, True)


@pytest.mark.usefixtures("applied")
def test_stored_jobs_are_deleted_by_pattern_and_jobs_of_files_refused() -> None:
    preview = invoke("delete", "reports-*", "--dry-run")
    result = invoke("delete", "--all")

    assert preview.lines[1:] == ["reports-api\tselected\t\t", "reports-daily\tselected\t\t"]
    assert result.code == 1
    assert {tuple(line.split("\t")[:2]) for line in result.lines[1:]} == {
        ("checkout", "refused"),
        ("reports-api", "done"),
        ("reports-daily", "done"),
    }


@pytest.mark.usefixtures("applied")
def test_tables_are_shown_on_a_terminal() -> None:
    assert "command_line:" in invoke("versions", "reports-api", terminal=True).stdout
