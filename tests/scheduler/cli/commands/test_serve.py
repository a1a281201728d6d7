"""`serve`: what keeps it from starting. How it serves: see the embedded host's tests."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.parts.proc import Program, free_port
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs


def test_every_problem_is_reported_and_nothing_is_started(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jobs(job_folder, a={"retires": 3, "check": {"url": "ftp://x"}})
    monkeypatch.setenv("SCHEDULER_PRT", "80")

    output = invoke("serve", "--port", "0")

    assert (output.code, output.stdout) == (2, "")
    for reported in (
        "SCHEDULER_PRT: unknown setting",
        "jobs.json:1: jobs.a.retires: unknown key",
        "jobs.a.check.url: ",
    ):
        assert reported in output.stderr
    assert not (job_folder.parent / "state.db").exists()


def test_a_port_that_is_accepted_ends_with_1_and_reports_what_to_do(job_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        output = invoke("serve", "--port", str(other.getsockname()[1]))

    assert (output.code, output.stdout) == (1, "")
    assert "--port" in output.stderr


def test_an_address_beyond_this_machine_is_refused(job_folder: Path) -> None:
    output = invoke("serve", "--host", "0.0.0.0")

    assert (output.code, output.stdout) == (2, "")
    assert "without allow_remote (SCHEDULER_ALLOW_REMOTE=true) the API stays on loopback" in output.stderr


def test_an_address_beyond_this_machine_needs_the_setting_and_an_identity(
    job_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_ALLOW_REMOTE", "true")

    nameless = invoke("serve", "--host", "0.0.0.0", "--port", "0")
    strange = invoke("serve", "--host", "everywhere")

    assert (nameless.code, strange.code) == (2, 2)
    assert "the API needs an identity" in nameless.stderr
    assert strange.stderr == (
        "--host: 'everywhere' is not an address: write an IP address such as 0.0.0.0, or localhost\n"
    )


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_ends_with_2(port: str) -> None:
    assert invoke("serve", "--port", port).code == 2


async def test_it_serves_where_it_is_instructed_to(job_folder: Path) -> None:
    port = free_port()
    environment = {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_JOBS": str(job_folder),
        "SCHEDULER_STORE": f"sqlite:///{job_folder.parent / 'state.db'}",
    }

    async with Program("serve", "--host", "::1", "--port", str(port), env=environment) as program:
        await program.ready(f"http://[::1]:{port}/api/health/live")
