"""The embedded host as a process of its own: starting, stopping, crashing, starting again."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from config.settings.model import Settings
from jobs.runs import Ticket
from scheduler.app import TELEMETRY_CLOSE_TIMEOUT
from scheduler.hosts.embedded import leading
from scheduler.hosts.embedded.leading import background_tasks, restart_on_failure
from scheduler.hosts.embedded.server import PortInUse, open_listener
from scheduler.stores.runs.repository import Runs
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR, Cursors
from scheduler.stores.sqlite.file_lock import read_api_address
from scheduler.stores.sqlite.store import open_sqlite
from tests.parts.host import Host, embedded, job
from tests.parts.http_target import HttpTarget
from tests.parts.proc import Program, free_port, run


async def test_a_job_runs_on_its_schedule_and_its_history_exists_after_a_restart(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        jobs = {"each-second": job(target.url, "every 1s")}
        async with embedded(tmp_path, jobs) as host:
            await target.wait_for_requests(2)
            seconds = await host.stop()
        assert seconds < 15
        assert "Traceback" not in host.program.stdout + host.program.stderr

        async with embedded(tmp_path, {}) as host:
            runs = await host.runs()

    assert len(runs) >= 2
    assert {run["outcome"] for run in runs} == {"succeeded"}
    assert all(0 <= run["lateness_ms"] < 1000 for run in runs)


async def test_a_run_in_work_is_finished_when_the_process_is_instructed_to_stop(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        gate = target.hold("/slow")
        async with embedded(tmp_path, {"slow": job(f"{target.url}/slow")}) as host:
            await host.client.post("/api/jobs/slow/run")
            await target.wait_for_requests(1)
            host.program.signal(signal.SIGTERM)
            gate.set()
            assert await host.program.exited() == 0

        async with embedded(tmp_path, {}) as host:
            assert [run["outcome"] for run in await host.runs()] == ["succeeded"]


async def test_a_run_that_does_not_end_in_time_is_recorded_as_cancelled(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        target.hold("/slow")
        jobs = {"slow": job(f"{target.url}/slow", timeout={"attempt": "60s", "run": "60s"})}
        async with embedded(tmp_path, jobs, SCHEDULER_SHUTDOWN_GRACE="100ms") as host:
            await host.client.post("/api/jobs/slow/run")
            await target.wait_for_requests(1)
            assert await host.stop() < 15

        async with embedded(tmp_path, {}) as host:
            assert [run["outcome"] for run in await host.runs()] == ["cancelled"]


async def test_a_killed_process_loses_nothing_and_the_next_one_reports_what_was_in_work(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        target.hold("/slow")
        jobs = {"slow": job(f"{target.url}/slow", effect="once"), "quick": job(f"{target.url}/quick")}
        async with embedded(tmp_path, jobs) as host:
            done = await host.client.post("/api/jobs/quick/run?wait=10s")
            slow = await host.client.post("/api/jobs/slow/run")
            await target.wait_for_requests(2)
            host.program.kill()
            await host.program.exited()

        async with embedded(tmp_path, jobs) as host:
            first = await host.get(f"/api/runs/{done.json()['id']}")
            second = await host.get(f"/api/runs/{slow.json()['id']}")

    assert first["outcome"] == "succeeded"
    assert (second["outcome"], second["error"]) == ("failed", "interrupted")


async def test_who_waits_for_a_run_that_the_end_leaves_to_the_next_start_is_informed_that_it_is_queued(
    tmp_path: Path,
) -> None:
    async with HttpTarget() as target:
        target.hold("/slow")
        jobs = {"slow": job(f"{target.url}/slow"), "next": job(f"{target.url}/next")}
        env = {"SCHEDULER_SHUTDOWN_GRACE": "100ms", "SCHEDULER_CONCURRENCY": "1"}
        async with embedded(tmp_path, jobs, **env) as host:
            await host.client.post("/api/jobs/slow/run")
            await target.wait_for_requests(1)
            requesting = asyncio.create_task(host.client.post("/api/jobs/next/run", params={"wait": "20s"}))
            await host.logged("run next@")
            host.program.signal(signal.SIGTERM)
            answer = await requesting
            assert await host.program.exited() == 0

        async with embedded(tmp_path, jobs) as host:
            await target.wait_for_requests(2)

    assert answer.status_code == 202, answer.text
    assert [request.path for request in target.requests] == ["/slow", "/next"]


async def test_a_run_that_does_no_harm_twice_is_run_again_after_the_process_was_killed(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        gate = target.hold("/slow")
        jobs = {"slow": job(f"{target.url}/slow")}
        async with embedded(tmp_path, jobs) as host:
            slow = await host.client.post("/api/jobs/slow/run")
            await target.wait_for_requests(1)
            host.program.kill()
            await host.program.exited()

        gate.set()
        async with embedded(tmp_path, jobs) as host:
            await target.wait_for_requests(2)
            await host.stop()
        async with embedded(tmp_path, jobs) as host:
            again = await host.get(f"/api/runs/{slow.json()['id']}")

    assert again["outcome"] == "succeeded"


async def test_a_run_that_was_only_queued_when_the_process_died_happens_after_the_next_start(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        jobs = {"asked": job(target.url)}
        async with embedded(tmp_path, jobs) as host:
            generation = (await host.get("/api/jobs/asked"))["generation"]
            await host.stop()
        ticket = Ticket.requested("asked", datetime.now(UTC), generation)
        store = await open_sqlite(tmp_path / "state.db")
        await Runs(store).enqueue(ticket)
        await store.aclose()

        async with embedded(tmp_path, jobs) as host:
            await target.wait_for_requests(1)
            await host.stop()
        async with embedded(tmp_path, jobs) as host:
            record = await host.get(f"/api/runs/{ticket.id}")

    assert record["outcome"] == "succeeded"


async def test_a_second_host_on_the_same_state_is_refused(tmp_path: Path) -> None:
    async with embedded(tmp_path, {}) as host:
        settings = {
            "SCHEDULER_ENVIRONMENT": "test",
            "SCHEDULER_JOBS": str(tmp_path / "jobs"),
            "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}",
        }
        second = await run("serve", "--port", "0", env=settings)

    assert second.code == 1
    assert str(host.program.pid) in second.stderr


async def test_commands_can_read_where_a_running_host_serves_its_api(tmp_path: Path) -> None:
    async with embedded(tmp_path, {}) as host:
        await host.logged("Dashboard: ")
        for _ in range(500):
            if read_api_address(tmp_path / "state.db") is not None:
                break
            await asyncio.sleep(0.02)
        base = str(host.client.base_url).rstrip("/")
        assert read_api_address(tmp_path / "state.db") == base
        settings = (await host.client.get("/api/dashboard/settings?name=port&source=argument")).text
        await host.stop()

    assert f"<bdi>{base.rpartition(':')[2]}</bdi>" in settings
    assert "--port" in settings.replace("<wbr>", "")

    assert read_api_address(tmp_path / "state.db") is None


async def test_a_used_port_is_named_and_nothing_starts(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        port = target.url.rpartition(":")[2]
        ended = await run("serve", "--port", port, env={"SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}"})

    assert ended.code != 0
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "--port" in ended.stderr
    assert not (tmp_path / "state.db").exists()


def test_the_bounds_of_an_end_leave_room_in_five_seconds() -> None:
    """Closing all the rest takes half a second."""
    assert Settings().shutdown_grace + TELEMETRY_CLOSE_TIMEOUT <= 4


def test_of_two_programs_that_start_at_once_the_second_one_fails_at_its_port() -> None:
    """Before the first one is ready, too."""
    with open_listener("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortInUse, match="--port"), open_listener("127.0.0.1", port):
            pass


async def test_a_background_task_that_breaks_is_reported_and_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leading, "TASK_RESTART_DELAY", 0.0)
    started, goes_on = 0, asyncio.Event()

    async def work() -> None:
        nonlocal started
        started += 1
        if started == 1:
            raise ZeroDivisionError
        goes_on.set()
        await asyncio.sleep(60)

    async with background_tasks(restart_on_failure(work)):
        await goes_on.wait()

    assert started == 2
    assert [record.levelname for record in caplog.records if record.exc_info] == ["CRITICAL"]


async def test_bad_configuration_is_reported_whole_and_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(
        "jobs:\n  a:\n    check: {url: 'ftp://x'}\n  b:\n    check: {url: 'http://127.0.0.1/'}\n    retires: {}\n"
    )

    ended = await run("serve", "--port", "0", env={"SCHEDULER_JOBS": str(tmp_path / "jobs.yaml")})

    assert ended.code == 2
    assert "jobs.yaml:3" in ended.stderr
    assert "retires: unknown key, did you mean retry?" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
async def test_the_first_seconds_of_the_samples_show_succeeded_failed_and_retried_runs(tmp_path: Path) -> None:
    port = free_port()
    settings = {"SCHEDULER_ENVIRONMENT": "dev", "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
    async with (
        Program("serve", "--port", str(port), env=settings, cwd=tmp_path) as program,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        await program.ready(f"http://127.0.0.1:{port}/api/health/ready")
        host = Host(program, client)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            runs = await host.runs()
            outcomes = {run["outcome"] for run in runs}
            if {"succeeded", "failed"} <= outcomes and any(run["retried"] for run in runs):
                break
        await host.stop()

    assert {"succeeded", "failed"} <= outcomes
    assert any(run["retried"] for run in runs)


async def test_only_loopback_names_are_answered(tmp_path: Path) -> None:
    """A page of another site whose name points to loopback must not read history or start runs."""
    async with embedded(tmp_path, {}) as host:
        statuses = [
            (await host.client.get("/api/runs", headers={"Host": name})).status_code
            for name in ("rebound.example", "localhost", "127.0.0.1:1", "[::1]:7071")
        ]

    assert statuses == [400, 200, 200, 200]


async def test_the_names_of_the_settings_are_answered_too(tmp_path: Path) -> None:
    """Such as those of a Service of Kubernetes, the address of a pod, and the public name that a proxy passes on."""
    environ = {
        "SCHEDULER_HTTP__HOSTS": "Scheduler,scheduler.jobs.svc,10.20.0.7,fd00::7",
        "SCHEDULER_HTTP__PUBLIC_URL": "https://checks.example.com:8443/",
    }
    async with embedded(tmp_path, {}, **environ) as host:
        statuses = {
            name: (await host.client.get("/api/runs", headers={"Host": name})).status_code
            for name in (
                "scheduler:8080",
                "scheduler.jobs.svc",
                "10.20.0.7:8080",
                "[fd00::7]:8080",
                "checks.example.com",
                "localhost",
                "rebound.example",
                "svc",
            )
        }

    assert [name for name, status in statuses.items() if status != 200] == ["rebound.example", "svc"]


async def test_how_far_the_ticks_are_is_put_right_after_a_clock_that_was_far_ahead(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "state.db")
    await Cursors(store).advance(PLANNED_UNTIL_CURSOR, datetime.now(UTC) + timedelta(days=300))
    await store.aclose()

    async with embedded(tmp_path, {}) as host:
        await host.stop()

    store = await open_sqlite(tmp_path / "state.db")
    planned_until = await Cursors(store).read(PLANNED_UNTIL_CURSOR)
    await store.aclose()
    assert planned_until is not None
    assert abs(planned_until - datetime.now(UTC)) < timedelta(minutes=1)
