"""Secrets are rotated in the vault and at the target while fifty runs a second use them: no run fails for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.checks.http_check import wait_until
from tests.parts.host import Host, embedded
from tests.parts.http_target import Answer, HttpTarget, Request
from tests.parts.ingestion import KeyVaultServer, ManagedIdentityServer
from tests.parts.tls import ca_file

JOBS = 50
"""Each runs every second."""


class GuardedTarget(HttpTarget):
    """Answers 401 to everybody who does not bring the token of now."""

    def __init__(self) -> None:
        super().__init__()
        self.token = ""
        self.on_call("/", self._judged)

    def _judged(self, request: Request) -> Answer:
        return Answer(200 if request.headers.get("authorization") == f"Bearer {self.token}" else 401)


@pytest.fixture
async def target() -> AsyncIterator[GuardedTarget]:
    async with GuardedTarget() as target:
        yield target


def job(url: str, number: int) -> dict[str, Any]:
    """Every second one is a POST, which no policy repeats; every third one has its secret from a mounted file."""
    method = "POST" if number % 2 else "GET"
    auth = {"kind": "bearer", "token": {"secret": "mounted" if number % 3 == 1 else "checkout-token"}}
    return {
        "schedule": "every 1s",
        "check": {"url": url, "method": method, "auth": auth},
        "retry": {"attempts": 1},
        "overlap": "allow",  # the first runs wait for the vault's client to be imported
    }


def mount(folder: Path, token: str) -> None:
    """As Kubernetes does: a folder for each version, and a link that is replaced."""
    version = folder / f"..{token}"
    version.mkdir(parents=True)
    (version / "mounted").write_text(f"{token}\n")
    (folder / "..next").symlink_to(version.name)
    (folder / "..next").replace(folder / "..data")
    if not (folder / "mounted").is_symlink():
        (folder / "mounted").symlink_to("..data/mounted")


async def finished(host: Host) -> list[dict[str, Any]]:
    """All runs that are over."""
    runs: list[dict[str, Any]] = []
    query: dict[str, str] = {"limit": "500"}
    while True:
        page = (await host.client.get("/api/runs", params=query)).json()
        runs += [run for run in page["runs"] if run["outcome"] is not None]
        if page["continuation"] is None:
            return runs
        query["continuation"] = page["continuation"]


async def test_a_rotation_in_vault_and_target_fails_no_run(tmp_path: Path, target: GuardedTarget) -> None:
    async with KeyVaultServer() as vault, ManagedIdentityServer() as identity:

        def rotate(token: str) -> None:
            """In vault and folder first; all in one turn of the loop that serves vault and target."""
            vault.set("checkout-token", token)
            mount(tmp_path / "mounted", token)
            target.token = token

        rotate("first-token")
        jobs = {f"checkout-{number:02d}": job(f"{target.url}/", number) for number in range(JOBS)}
        env = {
            **identity.environ,
            "SCHEDULER_KEY_VAULT_URL": vault.url,
            "SCHEDULER_SECRETS_FOLDER": str(tmp_path / "mounted"),
            "SSL_CERT_FILE": ca_file(),
        }
        async with embedded(tmp_path, jobs, **env) as host:
            await wait_until(lambda: vault.calls("checkout-token") == 1)
            await asyncio.sleep(2.0)
            rotate("second-token")
            await asyncio.sleep(3.5)
            await wait_until(lambda: vault.calls("checkout-token") == 2)
            rotate("third-token")
            await asyncio.sleep(2.5)
            await wait_until(lambda: vault.calls("checkout-token") == 3)
            runs = await finished(host)
            log = host.program.stdout

    assert len(runs) > 5 * JOBS
    assert [run["message"] for run in runs if run["outcome"] != "succeeded"] == []
    refused = [run for run in runs if run["attempt_count"] > 1]
    assert any("checkout-token" in run["attempts"][0]["message"] for run in refused)
    assert {run["attempt_count"] for run in refused} == {2}
    # Whether a run comes within the second for which a look at a mounted file is good is chance.
    assert {run["attempts"][0]["message"] for run in refused} <= {
        "Answered 401 Unauthorized, expected 2xx. The target rejected the credentials (401); "
        f"the secret {name} had been changed and was read again."
        for name in ("checkout-token", "mounted")
    }
    assert vault.calls("checkout-token") == 3
    assert "-token" not in log.replace("checkout-token", "")


async def test_a_new_version_is_used_without_a_refusal_once_a_user_reports_it(
    tmp_path: Path, target: GuardedTarget
) -> None:
    async with KeyVaultServer() as vault, ManagedIdentityServer() as identity:
        vault.set("checkout-token", "first-token")
        target.token = "first-token"
        jobs = {"checkout": {key: each for key, each in job(f"{target.url}/", 0).items() if key != "schedule"}}
        env = {**identity.environ, "SCHEDULER_KEY_VAULT_URL": vault.url, "SSL_CERT_FILE": ca_file()}
        async with embedded(tmp_path, jobs, **env) as host:
            await host.run("checkout")
            vault.set("checkout-token", "second-token")
            target.token = "second-token"
            reported = (await host.client.post("/api/secrets/checkout-token/refresh")).json()
            run = await host.run("checkout")
            listed = (await host.get("/api/secrets"))["secrets"]

    assert (run["outcome"], run["attempt_count"]) == ("succeeded", 1)
    assert (reported["source"], reported["error"], reported["jobs"]) == (vault.url, "", ["checkout"])
    assert listed == [reported]
