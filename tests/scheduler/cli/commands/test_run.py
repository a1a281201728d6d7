"""`run`: what a run shows while it goes on, its result, its exit code."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.http_target import HttpTarget
from tests.parts.proc import Program, free_port
from tests.scheduler.cli.invocation import invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    async with HttpTarget() as target:
        target.on("/failing", 500)
        yield target


def retrying(url: str) -> dict[str, Any]:
    """Three attempts, a millisecond apart."""
    return {"check": {"url": url}, "retry": {"attempts": 3, "initial": "1ms", "jitter": "none"}}


async def test_a_run_that_succeeds_ends_with_0(target: HttpTarget, job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api=f"{target.url}/health")

    output = await invoke_concurrently("run", "checkout-api")

    assert (output.code, output.stderr) == (0, "")
    assert output.lines[0].startswith("checkout-api succeeded after 1 attempt in ")
    assert output.lines[1].split("\t")[:3] == ["attempt", "started_at", "status"]
    assert output.lines[2].split("\t")[2] == "200"
    assert len(target.requests_to("/health")) == 1


async def test_a_run_that_fails_reports_why_and_ends_with_1(target: HttpTarget, job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api=retrying(f"{target.url}/failing"))

    on_terminal = await invoke_concurrently("run", "checkout-api", terminal=True)
    output = await invoke_concurrently("run", "checkout-api")

    assert (on_terminal.code, output.code) == (1, 1)
    assert "checkout-api failed after 3 attempts in " in on_terminal.stdout
    assert output.stderr == ""
    assert output.lines[0].startswith("checkout-api failed after 3 attempts in ")
    assert "500 Internal Server Error" in output.lines[1]
    names = [line.split("\t")[0] for line in output.lines[3:]]
    assert [name for name in names if name != "late"] == ["1", "2", "3", "trace"]  # late: on a busy machine
    assert output.lines[3].split("\t")[-1] == "1.000"


async def test_json_is_the_run_as_the_api_reports_it(target: HttpTarget, job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api=retrying(f"{target.url}/failing"))

    for terminal in (False, True):
        output = await invoke_concurrently("run", "checkout-api", "--json", terminal=terminal)
        reported = json.loads(output.stdout)
        assert (output.code, reported["outcome"], reported["trigger"], reported["attempt_count"]) == (
            1,
            "failed",
            "manual",
            3,
        )
        assert [attempt["status_code"] for attempt in reported["attempts"]] == [500, 500, 500]
        assert reported["attempts"][0]["phases"]["total_ms"] > 0


async def test_a_terminal_shows_each_attempt_as_it_fails_and_then_the_result(
    target: HttpTarget, job_folder: Path
) -> None:
    target.sequence("/flaky", 503, 503, 200)
    write_jobs(job_folder, checkout_api=retrying(f"{target.url}/flaky"))

    output = await invoke_concurrently("run", "checkout-api", terminal=True)

    assert output.code == 0
    assert "attempt 1 of 3" in output.stdout
    assert "attempt 2 of 3" in output.stdout
    assert "checkout-api succeeded after 3 attempts in " in output.stdout
    assert "first byte" in output.stdout
    assert "run checkout-api@" in output.stdout


async def test_a_disabled_job_can_be_run(target: HttpTarget, job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api={"enabled": False, "check": {"url": f"{target.url}/health"}})

    assert (await invoke_concurrently("run", "checkout-api")).code == 0


def test_a_sample_job_without_its_target_reports_where_that_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_ENVIRONMENT", "dev")
    monkeypatch.setenv("SCHEDULER_STORE", f"sqlite:///{tmp_path / 'state.db'}")
    monkeypatch.setattr("config.loading.SAMPLE_TARGET", f"http://127.0.0.1:{free_port()}")

    output = invoke("run", "circuit-demo")

    assert output.code == 1
    assert "is available only while `serve` runs" in output.stderr


def test_a_job_that_does_not_exist_is_suggested_and_ends_with_2(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")

    output = invoke("run", "chekout-api")

    assert (output.code, output.stdout) == (2, "")
    assert output.stderr == "there is no job named 'chekout-api', did you mean checkout-api?\n"


def test_a_name_nothing_is_near_to_leads_to_the_list(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")

    assert invoke("run", "xyz").stderr == "there is no job named 'xyz'; `jobs` lists all jobs\n"


def test_without_any_job_the_setting_is_named(job_folder: Path) -> None:
    assert "SCHEDULER_JOBS" in invoke("run", "checkout-api").stderr


def test_a_broken_configuration_ends_with_2(job_folder: Path) -> None:
    write_jobs(job_folder, a={"retires": 3})

    output = invoke("run", "a")

    assert (output.code, output.stdout) == (2, "")
    assert "unknown key, did you mean retry?" in output.stderr


def test_a_store_that_cannot_be_opened_ends_with_1(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")
    monkeypatch.setenv("SCHEDULER_STORE", f"sqlite:///{job_folder}")

    output = invoke("run", "checkout-api")

    assert (output.code, output.stdout) == (1, "")
    assert str(job_folder) in output.stderr


IN_THE_BACKGROUND = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.argv[:1] = ["scheduler"]
runpy.run_module("scheduler", run_name="__main__")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_with_130_and_history_reports_it(
    number: signal.Signals, target: HttpTarget, job_folder: Path
) -> None:
    target.hold("/health")
    write_jobs(job_folder, checkout_api=f"{target.url}/health")

    async with Program("run", "checkout-api", env=environment(job_folder)) as program:
        await target.wait_for_requests(1, timeout=20)
        program.signal(number)
        code = await program.exited()

    assert (code, program.stdout) == (130, "")
    assert "was recorded as cancelled" in program.stderr
    assert "Traceback" not in program.stderr
    assert (await invoke_concurrently("history", "checkout-api")).lines[1].split("\t")[1] == "cancelled"


async def test_a_command_in_the_background_of_a_script_ends_on_sigterm_too(
    target: HttpTarget, job_folder: Path
) -> None:
    target.hold("/health")
    write_jobs(job_folder, checkout_api=f"{target.url}/health")

    program = Program("-c", IN_THE_BACKGROUND, "run", "checkout-api", module=None, env=environment(job_folder))
    async with program:
        await target.wait_for_requests(1, timeout=20)
        program.signal(signal.SIGTERM)
        code = await program.exited()

    assert (code, program.stdout) == (130, "")
    assert (await invoke_concurrently("history", "checkout-api")).lines[1].split("\t")[1] == "cancelled"


def environment(job_folder: Path) -> dict[str, str]:
    return {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_JOBS": str(job_folder),
        "SCHEDULER_STORE": f"sqlite:///{job_folder.parent / 'state.db'}",
    }
