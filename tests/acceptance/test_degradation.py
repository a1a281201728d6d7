"""Each part is taken away from a running program and brought back: what goes on meanwhile, what health says, and that
all is well again without a restart, and without a run that happens to need the part. See docs/degradation.md.

Proven elsewhere: a vault, an identity and exporters that are unavailable during hundreds of runs
(test_unavailable_services), a full disk (test_odd_circumstances), the storage account of the Functions host
(tests/scheduler/functions/test_outage),
job files that change under load (test_reloading).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from config.job_files import container as job_container
from config.loading import load_configuration
from config.secrets import build_secrets, files
from jobs import refreshing_cache
from jobs.checks.net import network
from jobs.checks.net.network import ResolvedAddress
from jobs.running.clocks import SystemClock
from observability.exporters import datadog
from scheduler.api.app import create_api
from scheduler.app import check_setup, program
from scheduler.features.heartbeats import service
from scheduler.hosts.embedded.program import EmbeddedProgram, open_embedded_program
from scheduler.hosts.embedded.ticker import create_ticker, ticker_probe
from scheduler.stores.gates import StoredCircuits
from scheduler.stores.port import StoreUnavailable
from tests.parts.azurite import Azurite
from tests.parts.host import Host, embedded, job
from tests.parts.http_target import HttpTarget
from tests.parts.ingestion import (
    ApplicationInsightsIngestion,
    DatadogIntake,
    KeyVaultServer,
    ManagedIdentityServer,
)
from tests.parts.proc import ROOT
from tests.scheduler.functions.cut_line import CutLine

SECRET = {"kind": "bearer", "token": {"secret": "checkout-token"}}
PING_TOKEN = "2fd4e1c67a2d28fced849ee1bb76e739"
OFTEN = {"OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_BLRP_SCHEDULE_DELAY": "200"}


class MovedClock(SystemClock):
    """The system's time, put forward or back."""

    moved = timedelta()

    def now(self) -> datetime:
        return super().now() + self.moved


class Running:
    """The embedded program in this process, and its API."""

    def __init__(self, opened: EmbeddedProgram, client: httpx.AsyncClient) -> None:
        self.program, self.reloading, self.client = opened.program, opened.job_reloader, client

    async def run(self, name: str) -> dict[str, Any]:
        answer = await self.client.post(f"/api/jobs/{name}/run", params={"wait": "20s"})
        assert answer.status_code == 200, answer.text
        run: dict[str, Any] = answer.json()
        return run

    async def part(self, name: str) -> tuple[str, str]:
        """How a part is, and its sentence."""
        parts = {part["name"]: part for part in (await self.client.get("/api/status")).json()["parts"]}
        return parts[name]["status"], parts[name]["message"]

    async def until_well(self, name: str) -> None:
        await until(lambda: self.part(name), "ok")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing rests for long after a failure; and the log of the tests stays theirs."""
    monkeypatch.setattr(refreshing_cache, "FAILURE_CACHED_SECONDS", 0.2)
    monkeypatch.setattr(service, "MIN_REREAD_PAUSE_S", 0.2)
    monkeypatch.setattr(files, "FILE_CHECK_INTERVAL", 0.1)
    monkeypatch.setattr(program, "open_log", lambda *_: None)


@asynccontextmanager
async def running(
    folder: Path, jobs: dict[str, Any] | None, clock: SystemClock | None = None, **env: str
) -> AsyncIterator[Running]:
    settings = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}"}
    if jobs is not None:
        file = folder / "jobs.json"
        file.write_text(json.dumps({"jobs": jobs}))
        settings["SCHEDULER_JOBS"] = str(file)
    # A container is read by a loop of its own.
    configuration = await asyncio.to_thread(load_configuration, settings | env, root=ROOT, sample_target=None)
    async with open_embedded_program(configuration, clock=clock) as opened:
        program = opened.program
        transport = httpx.ASGITransport(create_api(program))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield Running(opened, client)
        await program.worker.drain(1.0)


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    async with HttpTarget() as target:
        yield target


@pytest.fixture
async def vault(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KeyVaultServer]:
    async with KeyVaultServer() as vault, ManagedIdentityServer() as identity:
        for name, value in identity.environ.items():
            monkeypatch.setenv(name, value)
        options = {**vault.client_options, "retry_total": 0}
        monkeypatch.setattr(check_setup, "build_secrets", partial(build_secrets, vault_options=options))
        yield vault


async def test_a_vault_that_is_back_is_observed_by_health_before_a_run_needs_it(
    tmp_path: Path, target: HttpTarget, vault: KeyVaultServer
) -> None:
    vault.set("checkout-token", "value-in-the-vault")
    jobs = {"with": job("", check={"url": target.url, "auth": SECRET}), "without": job(target.url)}
    async with running(tmp_path, jobs, SCHEDULER_KEY_VAULT_URL=vault.url) as host:
        vault.down = True
        with_secret, without = [await host.run(name) for name in jobs]
        unavailable = await host.part("secrets")
        vault.recover()
        await host.until_well("secrets")
        again = await host.run("with")

    assert (with_secret["error"], without["outcome"]) == ("secret_unavailable", "succeeded")
    assert unavailable[0] == "degraded"
    assert all(words in unavailable[1] for words in ("checkout-token", vault.url, "does not answer", "since"))
    assert again["outcome"] == "succeeded"


async def test_an_identity_that_is_back_is_observed_by_health_before_a_run_needs_it(
    tmp_path: Path, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = {"kind": "managed_identity", "scope": "api://checkout/.default"}
    async with ManagedIdentityServer() as identity:
        for name, value in identity.environ.items():
            monkeypatch.setenv(name, value)
        async with running(tmp_path, {"with": job("", check={"url": target.url, "auth": auth})}) as host:
            identity.refuse_with(400)
            refused = await host.run("with")
            unavailable = await host.part("secrets")
            identity.recover()
            await host.until_well("secrets")
            again = await host.run("with")

    assert (refused["error"], again["outcome"]) == ("token_unavailable", "succeeded")
    assert unavailable[0] == "degraded"
    assert "api://checkout/.default" in unavailable[1]


async def test_a_folder_of_secrets_that_is_unavailable_fails_only_the_runs_that_need_it_and_is_observed_once_it_is_back(
    tmp_path: Path, target: HttpTarget
) -> None:
    mounted = tmp_path / "mounted"
    jobs = {"with": job("", check={"url": target.url, "auth": SECRET}), "without": job(target.url)}

    def mount() -> None:
        mounted.mkdir()
        (mounted / "checkout-token").write_text("value-in-a-file\n")

    mount()
    async with running(tmp_path, jobs, SCHEDULER_SECRETS_FOLDER=str(mounted)) as host:
        before = await host.run("with")
        shutil.rmtree(mounted)
        await asyncio.sleep(0.15)  # a look at a file is good for a while
        with_secret, without = [await host.run(name) for name in jobs]
        unavailable = await host.part("secrets")
        mount()
        await host.until_well("secrets")
        again = await host.run("with")

    assert (before["outcome"], with_secret["error"], without["outcome"], again["outcome"]) == (
        "succeeded",
        "secret_unavailable",
        "succeeded",
        "succeeded",
    )
    assert unavailable[0] == "degraded"
    assert all(words in unavailable[1] for words in ("checkout-token", str(mounted), "mount the file"))


async def test_a_token_of_a_heartbeat_that_can_be_read_again_is_observed_by_health_before_a_ping_comes(
    tmp_path: Path,
) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    check = {"kind": "heartbeat", "token": {"secret": "backup-token"}, "period": "1h", "grace": "1h"}
    async with running(tmp_path, {"backup": job("", check=check)}, SCHEDULER_SECRETS_FOLDER=str(mounted)) as host:
        refused = await host.client.get(f"/api/ping/{PING_TOKEN}")
        never_pinged = await host.run("backup")
        unavailable = await host.part("heartbeats")
        (mounted / "backup-token").write_text(PING_TOKEN)
        await host.until_well("heartbeats")
        acquired = await host.client.get(f"/api/ping/{PING_TOKEN}")

    assert (refused.status_code, acquired.status_code) == (503, 200)
    assert refused.headers["retry-after"]
    assert never_pinged["error"] == "secret_unavailable"
    assert unavailable[0] == "degraded"
    assert "backup-token" in unavailable[1]


async def test_a_store_of_circuits_that_is_unavailable_rejects_no_one_and_is_observed_once_it_is_back(
    tmp_path: Path, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable_(*_: object) -> tuple[None, None]:
        raise StoreUnavailable("the table of circuits is away")

    target.on("/", 500)
    jobs = {"checkout": job(f"{target.url}/", circuit={"consecutive_failures": 1, "open_for": "1h"})}
    async with running(tmp_path, jobs) as host:
        first, open_ = [await host.run("checkout") for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(StoredCircuits, "load", unavailable_)
            through = await host.run("checkout")
            unavailable = await host.part("circuits")
        well = await host.part("circuits")
        still_open = await host.run("checkout")

    assert [run["outcome"] for run in (first, open_, through, still_open)] == [
        "failed",
        "rejected",
        "failed",
        "rejected",
    ]
    assert unavailable[0] == "degraded"
    assert "runs are admitted" in unavailable[1]
    assert well == ("ok", "")


async def test_a_store_that_another_program_keeps_locked_is_down_with_a_place_to_check_and_runs_come_after_it(
    tmp_path: Path, target: HttpTarget
) -> None:
    async with running(tmp_path, {"checkout": job(target.url)}) as host:
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        requested = asyncio.create_task(host.run("checkout"))
        ready = await host.client.get("/api/health/ready")
        live = await host.client.get("/api/health/live")
        before = len(target.requests)
        other.execute("COMMIT")
        other.close()
        run = await requested
        well = await host.part("store")

    parts = {part["name"]: part for part in ready.json()["parts"]}
    assert (ready.status_code, live.status_code, parts["store"]["status"]) == (503, 200, "down")
    assert parts["store"]["message"].startswith("no answer within 1.8 s: check the disk of sqlite:///")
    assert (before, run["outcome"], len(target.requests)) == (0, "succeeded", 1)
    assert well == ("ok", "")


async def test_names_that_no_one_resolves_fail_their_runs_alone_and_are_queried_anew_by_the_next(
    tmp_path: Path, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown_to_all(host: str, port: int) -> list[ResolvedAddress]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def known(host: str, port: int) -> list[ResolvedAddress]:
        return [ResolvedAddress(socket.AF_INET, "127.0.0.1", port)]

    port = target.url.rpartition(":")[2]
    jobs = {"by-name": job(f"http://checkout.test:{port}/"), "by-address": job(f"{target.url}/")}
    async with running(tmp_path, jobs) as host:
        monkeypatch.setattr(network, "_look_up", unknown_to_all)
        by_name, by_address = [await host.run(name) for name in jobs]
        ready = await host.client.get("/api/health/ready")
        monkeypatch.setattr(network, "_look_up", known)
        again = await host.run("by-name")

    assert (by_name["error"], by_address["outcome"]) == ("dns_failure", "succeeded")
    assert "checkout.test" in by_name["message"]
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert again["outcome"] == "succeeded"


async def test_a_clock_that_is_put_back_runs_nothing_twice_and_is_reported_until_it_is_where_it_was(
    tmp_path: Path, target: HttpTarget
) -> None:
    clock = MovedClock()
    async with running(tmp_path, {"each": job(target.url, "every 1s", overlap="allow")}, clock) as host:
        ticker = await create_ticker(host.program)
        host.program.health.add_probe("ticker", ticker_probe(host.program, lambda: ticker))
        ticking = asyncio.create_task(ticker.run())
        clock.moved = timedelta(seconds=8)  # as after a short hang, which does no harm
        await target.wait_for_requests(8)
        before = await host.part("ticker")
        clock.moved = timedelta(seconds=3)
        put_back = await until(lambda: host.part("ticker"), "degraded")
        ran = len(target.requests)
        clock.moved = timedelta(seconds=8)
        await until(lambda: host.part("ticker"), "ok")
        await target.wait_for_requests(ran + 1)
        ticking.cancel()
        await asyncio.wait([ticking])
        await host.program.worker.drain(1.0)
        runs = (await host.client.get("/api/runs")).json()["runs"]

    assert before == ("ok", "")
    assert all(words in put_back[1] for words in ("clock was set back", "not repeated", "time synchronisation"))
    # One request each, and no run in place of another.
    assert len({run["due_at"] for run in runs}) == len(runs) == len(target.requests)


async def test_datadog_that_is_back_gets_what_it_missed(
    tmp_path: Path, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datadog, "build_datadog_exporter", partial(datadog.build_datadog_exporter, gather_seconds=0.1))
    async with DatadogIntake() as intake:
        intake.down = True
        env = {"DD_API_KEY": intake.api_key, "SCHEDULER_DATADOG__URL": intake.url}
        async with running(tmp_path, {"checkout": job(target.url)}, **env) as host:
            run = await host.run("checkout")
            unavailable = await until(lambda: host.part("datadog"), "degraded")
            intake.recover()
            await host.until_well("datadog")

    assert run["outcome"] == "succeeded"
    assert all(words in unavailable[1] for words in ("(0 events dropped; runs continue)", "check its key"))
    assert [check["check"] for check in intake.checks] == ["scheduler.job.status"]


@pytest.mark.slow
async def test_application_insights_that_is_back_gets_the_runs_from_then_on_and_health_reports_it(
    tmp_path: Path,
) -> None:
    async with HttpTarget() as target, ApplicationInsightsIngestion() as insights:
        insights.down = True
        env = {"APPLICATIONINSIGHTS_CONNECTION_STRING": insights.connection_string, "TMPDIR": str(tmp_path), **OFTEN}
        jobs = {"each": job(target.url, "every 1s", telemetry={"availability": "all"})}
        async with embedded(tmp_path, jobs, **env) as host:
            part = partial(reported, host, "application_insights")
            unavailable = await until(part, "degraded")
            insights.recover()
            await until(part, "ok")
            # What makes it well may have been other telemetry.
            async with asyncio.timeout(60):
                while not insights.by_type("AvailabilityData"):  # noqa: ASYNC110 - the intake tells of no kinds
                    await asyncio.sleep(0.05)
            runs = await host.runs()
            await host.stop()

    assert "runs continue" in unavailable[1]
    # On a busy machine a run may last until the next one is due, which is skipped.
    assert {run["outcome"] for run in runs if run["state"] == "finished"} - {"skipped"} == {"succeeded"}


async def test_a_container_of_jobs_that_is_unavailable_leaves_those_from_before_in_force(
    tmp_path: Path, target: HttpTarget, azurite: Azurite, storage_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.storage.blob.aio import ContainerClient

    monkeypatch.setattr(job_container, "BLOB_TIMEOUT", 0.5)
    async with (
        CutLine(urlsplit(azurite.blob_url).port or 0) as line,
        ContainerClient.from_connection_string(azurite.connection_string, storage_prefix) as container,
    ):
        await container.create_container()
        await container.upload_blob("jobs.json", json.dumps({"jobs": {"checkout": job(target.url)}}))
        account = f"http://127.0.0.1:{line.port}/{azurite.account}"
        env = {
            "SCHEDULER_JOBS_CONTAINER": f"{account}/{storage_prefix}",
            "SCHEDULER_STORAGE__CONNECTION_STRING": f"DefaultEndpointsProtocol=http;AccountName={azurite.account};"
            f"AccountKey={azurite.key};BlobEndpoint={account};",
        }
        async with running(tmp_path, None, **env) as host:
            await line.cut()
            await host.reloading.reload()
            unavailable = await host.part("job_files")
            run = await host.run("checkout")
            await line.mend()
            await host.reloading.reload()
            well = await host.part("job_files")

    assert run["outcome"] == "succeeded"
    assert unavailable[0] == "degraded"
    assert all(
        words in unavailable[1] for words in ("the previous jobs stay in force", storage_prefix, "cannot be listed")
    )
    assert well == ("ok", "")


@pytest.mark.slow
async def test_runs_continue_while_the_folder_of_jobs_is_gone_empty_or_broken(tmp_path: Path) -> None:
    folder, aside = tmp_path / "jobs", tmp_path / "aside"
    messages = []
    async with HttpTarget() as target:
        jobs = {"checkout": job(target.url, "every 1s")}
        async with embedded(tmp_path, jobs) as host:
            await target.wait_for_requests(1, timeout=20)
            began = datetime.now(UTC)
            for trouble in ("gone", "empty", "broken"):
                if trouble == "broken":
                    (folder / "jobs.json").write_text('{"jobs": {"checkout": {"chek": 1}}}')
                else:
                    os.rename(folder, aside)
                if trouble == "empty":
                    os.mkdir(folder)
                messages.append((await until(partial(reported, host, "job_files"), "degraded"))[1])
                if trouble == "empty":
                    os.rmdir(folder)
                if trouble == "broken":
                    (folder / "jobs.json").write_text(json.dumps({"jobs": jobs}))
                else:
                    os.rename(aside, folder)
                await until(partial(reported, host, "job_files"), "ok")
            ended = datetime.now(UTC)
            await asyncio.sleep(1)
            runs = [run for run in await host.runs() if began <= datetime.fromisoformat(run["due_at"]) <= ended]
            await host.stop()

    words = (
        "does not exist",
        "no job files found, but jobs are in force",
        "jobs.json:1: jobs.checkout.chek: unknown key",
    )
    assert all(word in message for word, message in zip(words, messages, strict=True)), messages
    assert len({run["due_at"] for run in runs}) == len(runs) >= int((ended - began).total_seconds())
    assert {run["outcome"] for run in runs} == {"succeeded"}


async def reported(host: Host, name: str) -> tuple[str, str]:
    """How a part of a process is, and its sentence."""
    parts = {part["name"]: part for part in (await host.get("/api/status"))["parts"]}
    return parts[name]["status"], parts[name]["message"]


async def until(part: Callable[[], Any], status: str) -> tuple[str, str]:
    """What health says, once it says this."""
    async with asyncio.timeout(60):
        while True:
            found: tuple[str, str] = await part()
            if found[0] == status:
                return found
            await asyncio.sleep(0.1)
