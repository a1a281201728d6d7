"""Events of Key Vault: Microsoft's worker runs the function, the tables are Azurite's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.hosts.functions.secret_events import NEAR_EXPIRY, NEW_VERSION
from scheduler.stores.findings import SecretExpiry, SecretVersionStore
from tests.parts.http_target import HttpTarget
from tests.scheduler.functions.hosted import Hosted, write_jobs

EXP = datetime(2026, 12, 1, 10, tzinfo=UTC)
EVENT = {
    "Id": "https://our-vault.vault.azure.net/secrets/checkout-token/v2",
    "VaultName": "our-vault",
    "ObjectType": "Secret",
    "ObjectName": "checkout-token",
    "Version": "v2",
    "NBF": None,
    "EXP": int(EXP.timestamp()),
}


@pytest.fixture
def with_vault(jobs: Path, target: HttpTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = {"kind": "bearer", "token": {"secret": "checkout-token"}}
    write_jobs(jobs, checkout={"check": {"kind": "http", "url": f"{target.url}/health", "auth": auth}})
    monkeypatch.setenv("SCHEDULER_KEY_VAULT_URL", "https://our-vault.vault.azure.net")
    monkeypatch.setenv("SCHEDULER_SECRET_CHECKOUT_TOKEN", "of-the-variable")


@pytest.mark.usefixtures("with_vault")
async def test_an_expiry_makes_health_degraded_until_there_is_a_new_version(hosted: Hosted) -> None:
    done = await hosted.worker.event("secrets_changed", NEAR_EXPIRY, EVENT)
    assert done.failure is None

    status = await hosted.worker.http("GET", "/api/status", key="read")
    (part,) = [each for each in status.json()["parts"] if each["name"] == "secrets"]
    assert part["status"] == "degraded"
    assert "the secret checkout-token expires on 2026-12-01 10:00:00Z" in part["message"]
    assert (await SecretVersionStore(hosted.store).read()).expiring == {"checkout-token": SecretExpiry(EXP, past=False)}

    done = await hosted.worker.event("secrets_changed", NEW_VERSION, EVENT)
    assert done.failure is None
    status = await hosted.worker.http("GET", "/api/status", key="read")
    assert {"name": "secrets", "status": "ok", "message": ""} in status.json()["parts"]
    news = await SecretVersionStore(hosted.store).read()
    assert (news.stamps, news.expiring) == ({"checkout-token": "v2"}, {})


@pytest.mark.usefixtures("with_vault")
async def test_an_event_of_another_vault_is_left_alone(hosted: Hosted) -> None:
    done = await hosted.worker.event("secrets_changed", NEW_VERSION, {**EVENT, "VaultName": "another"})
    assert done.failure is None
    assert (await SecretVersionStore(hosted.store).read()).stamps == {}
