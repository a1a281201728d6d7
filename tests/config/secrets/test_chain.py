"""Secrets come from variables, then from Key Vault, played on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from config.identity import AppIdentity
from config.secrets import SecretChain, build_secrets, find_settings_secrets
from config.secrets.key_vault import SECRET_FRESH_FOR
from config.settings.model import Settings
from jobs.errors import SecretUnavailable
from jobs.redaction import Redactor
from tests.config.clock import ManualClock
from tests.parts.ingestion import KeyVaultServer, ManagedIdentityServer

Chain = Callable[..., SecretChain]


@pytest.fixture
async def vault() -> AsyncIterator[KeyVaultServer]:
    async with KeyVaultServer() as vault:
        yield vault


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
async def chain(
    vault: KeyVaultServer, clock: ManualClock, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Chain]:
    opened: list[Any] = []
    async with ManagedIdentityServer() as identities:
        for name, value in identities.environ.items():
            monkeypatch.setenv(name, value)

        def build(**environ: str) -> SecretChain:
            settings = Settings(environment="prod", key_vault_url=vault.url)
            identity = AppIdentity(settings)
            options = {**vault.client_options, "retry_total": 0}
            secrets = build_secrets(settings, identity, redactor, clock, environ=environ, vault_options=options)
            opened.extend((secrets, identity))
            return secrets

        yield build
        for one in opened:
            await one.aclose()


def without_vault(**environ: str) -> SecretChain:
    settings = Settings(environment="prod")
    return build_secrets(settings, AppIdentity(settings), Redactor(), ManualClock(), environ=environ)


async def test_a_variable_goes_before_the_vault(chain: Chain, vault: KeyVaultServer) -> None:
    vault.set("checkout-token", "of-the-vault")
    assert (
        await chain(SCHEDULER_SECRET_CHECKOUT_TOKEN="of-the-variable").get_secret("checkout-token") == "of-the-variable"
    )
    assert vault.calls() == 0


async def test_a_secret_of_the_vault(chain: Chain, vault: KeyVaultServer) -> None:
    vault.set("checkout-token", "of-the-vault")
    assert await chain(SCHEDULER_SECRET_CHECKOUT_TOKEN="").get_secret("checkout-token") == "of-the-vault"


async def test_an_underscore_is_a_hyphen_in_the_vault(chain: Chain, vault: KeyVaultServer) -> None:
    vault.set("checkout-token", "of-the-vault")
    assert await chain().get_secret("checkout_token") == "of-the-vault"


async def test_every_value_is_registered_with_the_redactor(
    chain: Chain, vault: KeyVaultServer, redactor: Redactor
) -> None:
    vault.set("a", "value-of-the-vault")
    secrets = chain(SCHEDULER_SECRET_B="value-of-the-variable")
    await secrets.get_secret("a")
    await secrets.get_secret("b")
    assert redactor.redact("value-of-the-vault, value-of-the-variable") == "***, ***"


async def test_many_runs_request_the_vault_once(chain: Chain, vault: KeyVaultServer) -> None:
    vault.set("a", "value")
    secrets = chain()
    await asyncio.gather(*(secrets.get_secret("a") for _ in range(20)))
    assert vault.calls("a") == 1


async def test_a_rotated_secret_arrives_after_some_minutes(
    chain: Chain, vault: KeyVaultServer, clock: ManualClock
) -> None:
    vault.set("a", "old-value")
    secrets = chain()
    await secrets.get_secret("a")
    vault.set("a", "new-value")
    assert await secrets.get_secret("a") == "old-value"
    clock.passed = SECRET_FRESH_FOR
    assert await secrets.get_secret("a") == "new-value"


@pytest.mark.parametrize("status", [403, 429, 500])
async def test_a_stored_value_is_used_while_the_vault_refuses(
    status: int, chain: Chain, vault: KeyVaultServer, clock: ManualClock
) -> None:
    vault.set("a", "value")
    secrets = chain()
    await secrets.get_secret("a")
    vault.refuse_with(status)
    clock.passed = SECRET_FRESH_FOR
    assert await secrets.get_secret("a") == "value"
    (trouble,) = secrets.health()
    assert (trouble.name, trouble.since, trouble.is_stale_value_used) == ("a", clock.now(), True)
    assert "value" not in trouble.message


async def reported(secrets: SecretChain, name: str = "a") -> str:
    with pytest.raises(SecretUnavailable) as caught:
        await secrets.get_secret(name)
    return str(caught.value)


async def test_a_secret_that_is_nowhere_is_reported(chain: Chain, vault: KeyVaultServer) -> None:
    assert await reported(chain()) == (
        f"secret a: not in the environment, and in {vault.url}: "
        "there is no secret of that name; create it, or fix the job"
    )


async def test_a_disabled_secret_is_reported(chain: Chain, vault: KeyVaultServer) -> None:
    vault.set("a", "value")
    vault.disable("a")
    assert "reading it is forbidden; grant the app's identity the role Key Vault Secrets User" in await reported(
        chain()
    )


async def test_an_empty_secret_is_reported(chain: Chain, vault: KeyVaultServer) -> None:
    vault.set("a", "")
    assert "its value is empty" in await reported(chain())


async def test_a_vault_that_is_queried_too_often_is_reported(chain: Chain, vault: KeyVaultServer) -> None:
    vault.refuse_with(429)
    assert "the vault receives too many requests (429)" in await reported(chain())


async def test_a_vault_that_is_unavailable_is_reported(chain: Chain, vault: KeyVaultServer) -> None:
    vault.down = True
    assert "the vault does not answer" in await reported(chain())


async def test_a_deleted_secret_is_not_used_any_more(chain: Chain, vault: KeyVaultServer, clock: ManualClock) -> None:
    vault.set("a", "value")
    secrets = chain()
    await secrets.get_secret("a")
    vault.remove("a")
    clock.passed = SECRET_FRESH_FOR
    assert "there is no secret of that name" in await reported(secrets)


async def test_an_identity_without_a_token_is_reported(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, vault: KeyVaultServer
) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    assert "the app's identity gives no token for the vault" in await reported(chain())


async def test_without_vault_and_variable_both_ways_are_reported() -> None:
    assert await reported(without_vault(), "my-key") == (
        "secret my-key: the variable SCHEDULER_SECRET_MY_KEY is not set, and no Key Vault is configured; "
        "set the variable, or SCHEDULER_KEY_VAULT_URL"
    )


async def test_an_unresolved_reference_is_no_value() -> None:
    secrets = without_vault(SCHEDULER_SECRET_A="@Microsoft.KeyVault(SecretUri=https://v/secrets/a)")
    assert await reported(secrets) == (
        "secret a: SCHEDULER_SECRET_A: its Key Vault reference is not resolved; check that the secret exists "
        "and that the app's identity may read it"
    )


async def test_without_a_vault_nothing_is_stale() -> None:
    secrets = without_vault()
    assert secrets.health() == ()
    await secrets.aclose()


def test_secrets_of_the_settings_are_registered_with_their_parts() -> None:
    settings = Settings.model_validate(
        {
            "datadog": {"api_key": "dd-key"},
            "storage": {"connection_string": "AccountName=n;AccountKey=abcdabc=;EndpointSuffix=x"},
            "application_insights": {"connection_string": "InstrumentationKey=1"},
        }
    )
    assert list(find_settings_secrets(settings)) == [
        "dd-key",
        "AccountName=n;AccountKey=abcdabc=;EndpointSuffix=x",
        "abcdabc=",
        "InstrumentationKey=1",
    ]
    redactor = Redactor()
    build_secrets(settings, AppIdentity(settings), redactor, ManualClock(), environ={})
    assert redactor.redact("dd-key abcdabc=") == "*** ***"


async def test_a_refused_secret_of_the_vault_is_read_again_at_once(chain: Chain, vault: KeyVaultServer) -> None:
    vault.set("a", "old-value")
    secrets = chain()
    await secrets.get_secret("a")
    vault.set("a", "new-value")
    renewal = await secrets.refresh_rejected("a", "old-value")
    assert (renewal.is_changed, renewal.message) == (True, "the secret a had been changed and was read again")
    assert await secrets.get_secret("a") == "new-value"
    assert vault.calls("a") == 2


async def test_of_a_refused_secret_that_is_the_same_source_and_time_are_reported(
    chain: Chain, vault: KeyVaultServer, clock: ManualClock
) -> None:
    vault.set("a", "the-value")
    secrets = chain(SCHEDULER_SECRET_B="of-the-variable")
    clock.passed = 3
    await secrets.get_secret("a")
    renewal = await secrets.refresh_rejected("a", "the-value")
    assert not renewal.is_changed
    assert renewal.message == f"the secret a is unchanged in {vault.url} since 2026-01-01 00:00:03Z"
    assert (await secrets.refresh_rejected("b", "of-the-variable")).message == (
        "the secret b is unchanged in the variable SCHEDULER_SECRET_B since 2026-01-01 00:00:00Z"
    )


async def test_a_refused_secret_that_is_gone_reports_it(chain: Chain, vault: KeyVaultServer) -> None:
    vault.set("a", "the-value")
    secrets = chain()
    await secrets.get_secret("a")
    vault.remove("a")
    renewal = await secrets.refresh_rejected("a", "the-value")
    assert not renewal.is_changed
    assert "cannot be read now: secret a: not in the environment" in renewal.message
    assert "the-value" not in renewal.message


async def test_a_secret_with_a_new_version_is_read_at_the_next_use(chain: Chain, vault: KeyVaultServer) -> None:
    vault.set("checkout-token", "old-value")
    secrets = chain()
    await secrets.get_secret("checkout_token")
    vault.set("checkout-token", "new-value")
    secrets.drop("Checkout-Token")
    assert await secrets.get_secret("checkout_token") == "new-value"


async def test_a_secret_that_is_nowhere_is_a_trouble_until_it_exists() -> None:
    environ: dict[str, str] = {}
    settings = Settings(environment="prod")
    secrets = build_secrets(settings, AppIdentity(settings), Redactor(), ManualClock(), environ=environ)
    await reported(secrets)
    assert [trouble.name for trouble in secrets.health()] == ["a"]
    environ["SCHEDULER_SECRET_A"] = "value"
    await secrets.get_secret("a")
    assert secrets.health() == ()
