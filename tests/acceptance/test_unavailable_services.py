"""Neither Application Insights nor Datadog, Key Vault or the managed identity is there: the runs do not notice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.parts.application_insights import INSTRUMENTATION_KEY
from tests.parts.bad_servers import black_hole, refused_port
from tests.parts.host import Host, embedded, job
from tests.parts.http_target import HttpTarget

OF_CREDENTIALS = ("SCHEDULER_KEY_VAULT_URL", "IDENTITY_ENDPOINT", "IDENTITY_HEADER")
SECOND_JOBS = 20
RUNS = 200
IN_VAULT = {"kind": "bearer", "token": {"secret": "checkout-token"}}
AS_IDENTITY = {"kind": "managed_identity", "scope": "api://checkout/.default"}


async def unavailable(stack: AsyncExitStack, server: Callable[[], Any]) -> dict[str, str]:
    """Settings of all four, at addresses where such a server is."""
    insights, datadog, vault, identity = [(await stack.enter_async_context(server())).url for _ in range(4)]
    return {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={INSTRUMENTATION_KEY};"
        f"IngestionEndpoint={insights}/;LiveEndpoint={insights}/",
        "DD_API_KEY": "datadog-api-key",
        "SCHEDULER_DATADOG__URL": datadog,
        "SCHEDULER_KEY_VAULT_URL": vault.replace("http:", "https:"),
        "IDENTITY_ENDPOINT": f"{identity}/msi/token",
        "IDENTITY_HEADER": "header",
    }


def each_second(target: HttpTarget) -> dict[str, Any]:
    return {f"job-{number:02}": job(f"{target.url}/{number}", "every 1s") for number in range(SECOND_JOBS)}


def worst_of_each_instant(runs: list[dict[str, Any]]) -> list[float]:
    """Milliseconds that the latest run of each due instant began after it."""
    worst: dict[str, float] = {}
    for run in runs:
        worst[run["due_at"]] = max(run["lateness_ms"], worst.get(run["due_at"], 0.0))
    return list(worst.values())


async def finished(host: Host) -> list[dict[str, Any]]:
    """The scheduled runs that are over."""
    return [run for run in await host.runs() if run["trigger"] == "schedule" and run["state"] == "finished"]


async def until_degraded(host: Host, *parts: str) -> dict[str, Any]:
    """The health, once all of these parts are degraded."""
    async with asyncio.timeout(60):
        while True:
            health: dict[str, Any] = (await host.client.get("/api/health")).json()
            assert health["status"] != "down", health
            states = {part["name"]: part["status"] for part in health["parts"]}
            if all(states[part] == "degraded" for part in parts):
                return health
            await asyncio.sleep(0.25)


@pytest.mark.slow
async def test_the_same_runs_happen_at_the_same_time_with_all_four_refused_and_health_reports_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "without").mkdir()
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(HttpTarget())
        env = await unavailable(stack, refused_port)
        jobs = each_second(target)
        needing = {
            "with-secret": job(target.url, check={"url": f"{target.url}/secret", "auth": IN_VAULT}),
            "with-token": job(target.url, check={"url": f"{target.url}/token", "auth": AS_IDENTITY}),
        }
        # Side by side, so that a busy machine is as busy for both.
        without = await stack.enter_async_context(embedded(tmp_path / "without", jobs))
        host = await stack.enter_async_context(embedded(tmp_path, jobs | needing, **env))
        secret, token = await asyncio.gather(host.run("with-secret"), host.run("with-token"))
        health = await until_degraded(host, "application_insights", "datadog", "secrets")
        ready = await host.client.get("/api/health/ready")
        runs, undisturbed = await finished(host), await finished(without)
        assert await host.stop() < 15
        await without.stop()

    assert len(runs) >= RUNS
    by_instant = Counter(run["due_at"] for run in runs)
    assert {count for _, count in sorted(by_instant.items())[1:-1]} == {SECOND_JOBS}
    assert {run["outcome"] for run in runs} == {"succeeded"}
    # The worst run of a usual second: what else the machine does hits one second or the other.
    assert median(worst_of_each_instant(runs)) < median(worst_of_each_instant(undisturbed)) + 40

    assert (secret["error"], token["error"]) == ("secret_unavailable", "token_unavailable")
    assert env["SCHEDULER_KEY_VAULT_URL"] in secret["message"]
    assert "managed identity" in token["message"]
    assert target.requests_to("/secret") == target.requests_to("/token") == []

    assert (health["status"], ready.status_code) == ("degraded", 200)
    messages = {part["name"]: part["message"] for part in health["parts"]}
    assert all(words in messages["application_insights"] for words in ("127.0.0.1", "refused", "runs continue"))
    assert all(words in messages["datadog"] for words in ("127.0.0.1", "refused", "runs continue"))
    assert all(words in messages["secrets"] for words in ("checkout-token", "api://checkout/.default", "since"))
    assert "Traceback" not in host.program.stdout + host.program.stderr
    about_exporters = [line for line in host.log() if line["Logger"].startswith("observability")]
    assert 2 <= len(about_exporters) <= 10  # told, and not again with every try


async def test_an_end_is_not_held_up_by_services_that_accept_and_stay_silent(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(HttpTarget())
        env = await unavailable(stack, black_hole)
        auth = {"auth": IN_VAULT}
        jobs = {"quick": job(f"{target.url}/quick"), "slow": job("", check={"url": target.url, **auth})}
        host = await stack.enter_async_context(embedded(tmp_path, jobs, SCHEDULER_SHUTDOWN_GRACE="200ms", **env))
        runs = [await host.run("quick") for _ in range(20)]
        stuck = await host.client.post("/api/jobs/slow/run")
        seconds = await host.stop()

    assert [run["outcome"] for run in runs] == ["succeeded"] * 20
    assert stuck.status_code == 202
    # The grace, a second for telemetry, half a second for all else. The rest is for a busy machine.
    assert seconds < 15
    assert "Traceback" not in host.program.stdout + host.program.stderr


@pytest.mark.parametrize(
    ("auth", "outcome", "error", "words"),
    [
        (IN_VAULT, "failed", "secret_unavailable", ("secrets", "not available within 300 ms", "Key Vault")),
        # No job has obtained a token: the scheduler itself is the cause.
        (AS_IDENTITY, "skipped", "token_unavailable", ("token", "not available within 300 ms", "managed identity")),
    ],
)
async def test_the_target_is_not_blamed_for_a_silent_vault_or_identity(
    auth: dict[str, str], outcome: str, error: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(HttpTarget())
        env = {name: value for name, value in (await unavailable(stack, black_hole)).items() if name in OF_CREDENTIALS}
        check = {"url": target.url, "auth": auth}
        job_ = job("", check=check, timeout={"attempt": "300ms"}, circuit={"consecutive_failures": 1})
        host = await stack.enter_async_context(embedded(tmp_path, {"checkout": job_}, **env))
        first, second = [await host.run("checkout") for _ in range(2)]
        await host.stop()

    assert (first["outcome"], first["error"]) == (outcome, error)
    assert all(word in first["message"] for word in words)
    assert second["error"] == error  # and not circuit_open: that would say the target is down
    assert target.requests == []
