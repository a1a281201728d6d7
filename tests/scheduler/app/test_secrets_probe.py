"""How the part `secrets` of health answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.identity import AppIdentity
from config.secrets import SecretChain, build_secrets
from config.settings.model import Settings
from jobs.errors import SecretUnavailable
from jobs.redaction import Redactor
from scheduler.app import health_probes
from scheduler.app.health_probes import secrets_probe
from scheduler.catalog.catalog import Catalog
from scheduler.features.secrets.service import SecretMonitor
from scheduler.health import HealthStatus, PartHealth
from scheduler.stores.findings import SecretExpiry
from tests.config.clock import ManualClock
from tests.scheduler.fakes import HeardOfSecrets, entry
from tests.scheduler.stores.memory import MemoryStore

TOKEN = {"url": "http://127.0.0.1:9/", "auth": {"kind": "bearer", "token": {"secret": "checkout-token"}}}


async def answered(folder: Path, expiry: SecretExpiry | None = None, asked: Sequence[str] = ()) -> PartHealth:
    settings, clock = Settings(environment="prod", secrets_folder=folder), ManualClock()
    identity = AppIdentity(settings, clock=clock)
    chain = build_secrets(settings, identity, Redactor(), clock, environ={})
    watch = SecretMonitor(MemoryStore(), chain, Catalog([entry(check=TOKEN)]), HeardOfSecrets(), clock)
    for name in asked:
        with suppress(SecretUnavailable):
            await chain.get_secret(name)
    if expiry is not None:
        await watch.record_expiry("checkout-token", expiry)
    (part,) = await secrets_probe(chain, identity, watch)()
    return part


async def test_it_is_well_when_nothing_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "checkout-token").write_text("value")
    assert await answered(tmp_path) == PartHealth("secrets", HealthStatus.OK)


async def test_a_mounted_reference_that_no_one_resolved_takes_the_app_out_of_service(tmp_path: Path) -> None:
    (tmp_path / "checkout-token").write_text("@Microsoft.KeyVault(VaultName=v;SecretName=checkout-token)")
    part = await answered(tmp_path)
    assert part.status is HealthStatus.DOWN
    assert part.message.startswith(f"{tmp_path / 'checkout-token'}: its Key Vault reference is not resolved")


async def test_a_folder_that_hangs_takes_no_app_out_of_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: SecretChain) -> tuple[str, ...]:
        await asyncio.sleep(60)
        return ()

    monkeypatch.setattr(SecretChain, "unresolved", hangs)
    monkeypatch.setattr(health_probes, "SECRETS_FOLDER_TIMEOUT", 0.01)
    part = await answered(tmp_path)
    assert part.status is HealthStatus.DEGRADED
    assert part.message.startswith(
        "the folder of mounted secrets does not respond: check how secrets_folder is mounted"
    )


async def test_a_secret_that_expires_is_named_with_its_date(tmp_path: Path) -> None:
    part = await answered(tmp_path, SecretExpiry(datetime(2026, 12, 1, tzinfo=UTC), past=False))
    assert part == PartHealth(
        "secrets",
        HealthStatus.DEGRADED,
        "the secret checkout-token expires on 2026-12-01 00:00:00Z: add a new version to the vault",
    )


async def test_a_secret_that_is_nowhere_is_reported_once_a_run_has_requested_it(tmp_path: Path) -> None:
    part = await answered(tmp_path, asked=["checkout-token"])
    assert part.status is HealthStatus.DEGRADED
    assert part.message.startswith("secret checkout-token: the variable SCHEDULER_SECRET_CHECKOUT_TOKEN is not set")


async def test_a_secret_that_no_job_uses_any_more_is_no_trouble(tmp_path: Path) -> None:
    assert (await answered(tmp_path, asked=["of-a-job-that-is-gone"])).status is HealthStatus.OK
