"""`plan`, `apply`, `drift` and `export-jobs`: a working copy against a store, and against a running scheduler."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.parts.api_keys import create_key
from tests.parts.host import Host, embedded
from tests.scheduler.cli.commands.test_stored_jobs import API, DAILY, write_set
from tests.scheduler.cli.invocation import CommandResult, invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs

NOWHERE = {**API, "check": {"url": "http://169.254.169.254/"}}
Command = Callable[..., Awaitable[CommandResult]]


def write_preset(folder: Path, name: str = "page", url: str = "http://127.0.0.1:9/<<path>>") -> None:
    """Put a preset next to the job files of a folder."""
    (folder / "presets").mkdir(parents=True, exist_ok=True)
    job = {"schedule": "every 1m", "check": {"url": url}}
    preset = {"description": "a page", "parameters": {"path": {"description": "its path", "example": "a"}}, "job": job}
    (folder / "presets" / f"{name}.json").write_text(json.dumps(preset))


@pytest.fixture
def working_copy(job_folder: Path) -> Path:
    """A folder with the same jobs as the configured one, which is the store's."""
    write_jobs(job_folder, checkout=API, ledger=API)
    folder = job_folder.parent / "copy"
    folder.mkdir()
    write_jobs(folder, checkout=API, ledger=API)
    return folder


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    """A scheduler with a job file; its API needs a key, which the commands have in a file."""
    environ = {"SCHEDULER_HTTP__AUTHENTICATION": "own"}
    server = tmp_path / "server"
    write_preset(server / "jobs")
    async with embedded(server, {"checkout": API}, **environ) as host:
        store = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_STORE": f"sqlite:///{server / 'state.db'}"}
        (tmp_path / "key").write_text(await create_key(store, "deploy"))
        monkeypatch.setenv("DEPLOY_KEY_FILE", str(tmp_path / "key"))
        monkeypatch.setenv("SCHEDULER_ENVIRONMENT", "test")
        monkeypatch.setenv("SCHEDULER_STORE", "sqlite:////proc/nowhere/state.db")
        monkeypatch.delenv("SCHEDULER_JOBS", raising=False)
        yield host


def over_api(host: Host) -> Command:
    options = ("--url", str(host.client.base_url), "--key-variable", "DEPLOY_KEY")
    return lambda *words: invoke_concurrently(*words, *options)


def test_the_same_files_are_no_change(working_copy: Path) -> None:
    plan, drift = invoke("plan", str(working_copy)), invoke("drift", str(working_copy))

    assert (plan.code, plan.stdout) == (0, "job files: 0 added, 0 changed, 0 removed, 2 unchanged\n")
    assert (drift.code, drift.lines) == (
        0,
        ["job\tdifference\tfield\tin_files\trunning\tchanged_by\tchanged_at\taction"],
    )
    assert drift.stderr == "job files: no job differs from the files, 2 do not\n"


def test_a_changed_file_with_a_denied_target(working_copy: Path) -> None:
    write_jobs(working_copy, checkout={**API, "schedule": "every 30s"}, new=NOWHERE)

    plan, drift = invoke("plan", str(working_copy)), invoke("drift", str(working_copy), "--json")
    comment = invoke("plan", str(working_copy), "--markdown", "--timezone", "Asia/Tokyo")

    assert (plan.code, drift.code, comment.code) == (3, 3, 3)
    assert '    schedule.every: "1m" -> "30s"' in plan.lines
    assert "new: denied target: " in plan.stderr
    assert "169.254.169.254" in comment.stdout
    assert " JST |" in comment.stdout
    found = json.loads(drift.stdout)
    assert {each["name"]: each["difference"] for each in found["jobs"]} == {
        "checkout": "changed",
        "ledger": "extra",
        "new": "missing",
    }


@pytest.mark.parametrize("command", ["plan", "drift"])
@pytest.mark.parametrize(
    "words",
    [
        ("{copy}", "{copy}"),
        ("{copy}/no-such-file.yaml",),
        ("{copy}", "--timezone", "Nowhere/City"),
        ("{copy}", "--markdown", "--json"),
        ("{copy}", "--url", "nonsense"),
        ("{copy}", "--set", "no set"),
    ],
)
def test_bad_input_ends_with_2(command: str, words: tuple[str, ...], working_copy: Path) -> None:
    result = invoke(command, *(word.format(copy=working_copy) for word in words))

    assert (result.code, result.stdout) == (2, "")
    assert result.stderr


def test_a_stored_job_is_no_job_of_files(working_copy: Path) -> None:
    stored = write_set(working_copy.parent / "reports.json", reports_api=API)
    assert invoke("apply", str(stored), "--set", "reports", "--yes").code == 0
    write_jobs(working_copy, checkout=API, ledger=API, reports_api=API)

    result = invoke("plan", str(working_copy))

    assert result.code == 1
    assert "the file would replace the stored job reports-api of the set reports" in result.stderr
    assert invoke("drift", str(working_copy), "--markdown").code == 3


def test_changed_sections_of_job_files_are_changes(working_copy: Path, job_folder: Path) -> None:
    def write(folder: Path, url: str) -> None:
        channels = {"hook": {"kind": "webhook", "url": url}}
        rules = {"rules": [{"select": {"all": True}, "alerts": [{"notify": "hook"}]}]}
        (folder / "alerting.json").write_text(json.dumps({"alerting": {"channels": channels, **rules}}))

    write(job_folder, "http://127.0.0.1:9/a")
    write(working_copy, "http://127.0.0.1:9/a")
    assert invoke("plan", str(working_copy)).code == 0
    assert invoke("drift", str(working_copy)).code == 0

    write(working_copy, "http://127.0.0.1:9/`b|")
    plan, drift = invoke("plan", str(working_copy)), invoke("drift", str(working_copy))
    comment, found = (invoke("plan", str(working_copy), option) for option in ("--markdown", "--json"))

    assert (plan.code, drift.code, comment.code, found.code) == (3, 3, 3, 3)
    assert plan.lines[1:] == ["~ alerting.channels.hook", '    url: "http://127.0.0.1:9/a" -> "http://127.0.0.1:9/`b|"']
    assert drift.lines[1].startswith('alerting.channels.hook\tchanged\turl\t"http://127.0.0.1:9/`b|"\t"http://127')
    assert "| `alerting.channels.hook` | `url` | " in comment.stdout
    assert "#### Alerts that would have fired" in comment.stdout
    assert json.loads(found.stdout)["sections"][0]["key"] == "alerting.channels.hook"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_an_export_is_no_change(form: tuple[str, ...], working_copy: Path) -> None:
    stored = write_set(working_copy.parent / "reports.json", reports_api=API, reports_daily=DAILY)
    invoke("apply", str(stored), "--set", "reports", "--yes")
    files, reports = str(working_copy.parent / "files"), str(working_copy.parent / "sets" / "reports")

    assert invoke("export-jobs", files, *form).code == 0
    assert invoke("export-jobs", reports, "--set", "reports", *form).code == 0

    assert invoke("validate", files, "--strict").code == 0
    assert invoke("plan", files).code == 0
    assert invoke("plan", reports, "--set", "reports").code == 0
    again = invoke("export-jobs", files, *form)
    assert (again.code, "exists" in again.stderr) == (1, True)
    assert invoke("export-jobs", files, *form, "--force").code == 0
    assert invoke("export-jobs", files, "--made-by-hand").code == 1
    assert invoke("export-jobs", files, "--made-by-hand", "--set", "reports").code == 2
    assert "the set none has no jobs" in invoke("export-jobs", files, "--set", "none").stderr


def test_drift_names_who_changed_a_stored_job(working_copy: Path) -> None:
    stored = write_set(working_copy.parent / "reports.json", reports_api=API)
    invoke("apply", str(stored), "--set", "reports", "--yes")
    invoke("pause", "reports-api")
    write_set(stored, reports_api={**API, "description": "changed | in the file"})

    rows = invoke("drift", str(stored), "--set", "reports")

    cells = rows.lines[1].split("\t")
    assert cells[:5] == ["reports-api", "changed", "description", '"changed | in the file"', '""']
    assert cells[5].startswith("command_line:")
    assert cells[7] == "set.apply"
    comment = invoke("drift", str(stored), "--set", "reports", "--markdown")
    assert r'`"changed \| in the file"`' in comment.stdout


async def test_a_running_scheduler(host: Host, tmp_path: Path) -> None:
    """One host for all that the commands do with it."""
    command = over_api(host)
    copy = tmp_path / "copy"
    assert (await command("export-jobs", str(copy), "--json")).code == 0
    assert (await command("plan", str(copy))).stdout.startswith("job files: 0 added, 0 changed, 0 removed, 1 unchanged")
    reports = str(write_set(tmp_path / "reports.json", reports_api={**API, "alerts": []}))
    await _apply_a_set(command, reports)
    await host.client.patch(
        "/api/jobs/reports-api",
        json={"schedule": "every 2m"},
        headers={"If-Match": "*", "Content-Type": "application/merge-patch+json"},
    )
    drift = json.loads((await command("drift", reports, "--set", "reports", "--json")).stdout)
    (changed,) = drift["jobs"]
    assert changed["fields"] == [{"path": "schedule.every", "in_files": "1m", "running": "2m"}]
    assert (changed["change"]["by"], changed["change"]["action"]) == ("api_key:admin", "job.patch")
    await _plan_a_comment(command, copy, reports)


async def _apply_a_set(command: Command, reports: str) -> None:
    plan = await command("plan", reports, "--set", "reports")
    assert (plan.code, plan.lines[0]) == (3, "set reports: 1 added, 0 changed, 0 removed, 0 unchanged")
    plan_hash = plan.lines[-1].removeprefix("plan hash: ")
    stale = await command("apply", reports, "--set", "reports", "--plan-hash", "0" * 32)
    assert (stale.code, "409" in stale.stderr) == (1, True)
    applied = await command("apply", reports, "--set", "reports", "--plan-hash", plan_hash)
    assert (applied.code, "1 added" in applied.stderr) == (0, True)
    assert (await command("drift", reports, "--set", "reports")).code == 0


async def _plan_a_comment(command: Command, copy: Path, reports: str) -> None:
    write_jobs(copy, checkout={**API, "tags": {"team": "x"}}, other=NOWHERE, third=_with_secret())
    comment = await command("plan", str(copy), "--markdown")
    assert comment.code == 3
    for text in ("| added | `other` |", "169.254.169.254", "`jobs.third.check.auth.token`", "Runs a second"):
        assert text in comment.stdout
    assert "#### Alerts that would have fired" in comment.stdout
    loud = {**API, "alerts": [{"open_after": 1, "triggers": ["manual"]}]}
    write_set(Path(reports), reports_api=loud)
    alerts = await command("plan", reports, "--set", "reports", "--alerts-since", "7d", "--json")
    assert alerts.code == 3, alerts.stderr
    assert json.loads(alerts.stdout)["alerts"]["is_same"] is True
    write_set(Path(reports), reports_api={**API, "retires": 1})
    assert (await command("plan", reports, "--set", "reports")).code == 2


def _with_secret() -> dict[str, Any]:
    auth = {"kind": "bearer", "token": {"secret": "nowhere-to-be-found"}}
    return {"check": {"url": "https://127.0.0.1:9/", "auth": auth}}


@pytest.fixture
def copy(tmp_path: Path) -> str:
    (tmp_path / "copy").mkdir()
    write_jobs(tmp_path / "copy", checkout=API)
    return str(tmp_path / "copy")


async def test_a_wrong_key_is_an_error_also_with_if_available(host: Host, copy: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sch_wrong-key-that-is-not-shown")

    for options in ((), ("--if-available",)):
        refused = await over_api(host)("plan", copy, *options)
        assert (refused.code, refused.stdout) == (1, "")
        assert "401: the key of DEPLOY_KEY was refused" in refused.stderr
        assert "wrong-key" not in refused.stderr


async def test_a_set_with_own_presets_is_planned_by_the_running_scheduler(host: Host, tmp_path: Path) -> None:
    command, copy, files = over_api(host), tmp_path / "set", tmp_path / "files"
    write_preset(copy)
    write_jobs(copy, page={"preset": "page", "with": {"path": "b"}})
    files.mkdir()
    write_jobs(files, checkout=API)
    assert (await command("apply", str(copy), "--set", "pages", "--yes")).code == 0

    plan, drift = [await command(name, str(copy), "--set", "pages") for name in ("plan", "drift")]
    assert (plan.code, drift.code) == (0, 0), (plan.stderr, drift.stderr)
    assert (await command("plan", str(files))).code == 0


async def test_jobs_of_a_set_use_the_presets_of_the_running_scheduler(host: Host, tmp_path: Path) -> None:
    command, copy = over_api(host), tmp_path / "set"
    write_preset(copy, url="http://127.0.0.1:9/other/<<path>>")
    write_jobs(copy, page={"preset": "page", "with": {"path": "b"}})
    assert (await command("apply", str(copy), "--set", "pages", "--yes")).code == 0
    stored = await host.get("/api/jobs/page")
    assert stored["definition"]["check"]["url"] == "http://127.0.0.1:9/b"

    write_preset(copy, name="unknown")
    write_jobs(copy, page={"preset": "unknown", "with": {"path": "b"}})
    refused = [await command(*words, str(copy), "--set", "pages") for words in (("plan",), ("apply", "--yes"))]
    assert [each.code for each in refused] == [2, 2]
    assert all("your own are next to the job files of the scheduler that runs it" in each.stderr for each in refused)
    assert [each.stdout for each in refused] == ["", ""]


async def test_a_server_without_the_routes_of_plans_is_a_warning_with_if_available(host: Host, copy: str) -> None:
    command = ("plan", copy, "--url", f"{host.client.base_url}/other", "--key-variable", "DEPLOY_KEY")

    failed, warned, as_json = [
        await invoke_concurrently(*command, *options)
        for options in ((), ("--markdown", "--if-available"), ("--json", "--if-available"))
    ]

    assert (failed.code, "404" in failed.stderr) == (1, True)
    assert (warned.code, "warning" in warned.stdout.lower(), "404" in warned.stdout) == (0, True, True)
    assert "404" in json.loads(as_json.stdout)["unavailable"]


async def test_a_literal_credential_needs_an_option_to_be_stored_over_the_api(host: Host, tmp_path: Path) -> None:
    check = {"url": "http://127.0.0.1:9/", "headers": {"Authorization": "Bearer of-a-test"}}
    files = str(write_set(tmp_path / "reports.json", reports_api={**DAILY, "check": check}))
    command = over_api(host)

    refused = [
        await command(name, files, "--set", "reports", *more) for name, more in (("plan", ()), ("apply", ("-y",)))
    ]
    plan = await command("plan", files, "--set", "reports", "--allow-literal")
    applied = await command("apply", files, "--set", "reports", "--yes", "--allow-literal")

    assert [(each.code, "--allow-literal" in each.stderr) for each in refused] == [(2, True), (2, True)]
    assert (plan.code, applied.code) == (3, 0), plan.stderr + applied.stderr
    assert "of-a-test" not in "".join(each.stderr for each in refused)


def test_a_scheduler_that_does_not_answer_is_a_warning_with_if_available(
    copy: str, text_snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.features.delivery.remote.MAX_TRIES", 1)
    command = ("plan", copy, "--url", "http://127.0.0.1:9", "--markdown", "--if-available")

    result = invoke(*command)

    assert (result.code, f"{result.stdout}\n{result.stderr}") == (0, text_snapshot)


def test_an_invalid_file_is_an_error_also_with_if_available(copy: str) -> None:
    write_jobs(Path(copy), checkout={**API, "retires": 1})

    result = invoke("plan", copy, "--url", "http://127.0.0.1:9", "--markdown", "--if-available")

    assert (result.code, result.stdout, "retires" in result.stderr) == (2, "", True)


def test_if_available_is_about_a_running_scheduler(working_copy: Path) -> None:
    assert invoke("plan", str(working_copy), "--if-available").code == 2
