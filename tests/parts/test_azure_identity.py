"""The played vault and identity endpoint, queried by Microsoft's own clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.identity import CredentialUnavailableError
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets._shared import http_challenge_cache
from azure.keyvault.secrets.aio import SecretClient

from tests.parts.ingestion import FakeCredential, KeyVaultServer, ManagedIdentityServer


@pytest.fixture
async def vault() -> AsyncIterator[KeyVaultServer]:
    http_challenge_cache.clear()  # by host and port: an earlier server can have had this port
    async with KeyVaultServer() as vault:
        vault.set("token", "one")
        yield vault


@pytest.fixture
async def client(vault: KeyVaultServer) -> AsyncIterator[SecretClient]:
    credential: Any = FakeCredential()
    async with SecretClient(vault.url, credential, retry_total=0, **vault.client_options) as client:
        yield client


async def test_a_secret_is_read_after_the_challenge(vault: KeyVaultServer, client: SecretClient) -> None:
    secret = await client.get_secret("token")
    assert (secret.value, secret.properties.enabled) == ("one", True)
    assert (vault.challenges, vault.calls("token")) == (1, 1)


async def test_a_rotated_secret_has_a_new_version_next_to_the_old(vault: KeyVaultServer, client: SecretClient) -> None:
    first = (await client.get_secret("token")).properties.version
    vault.set("token", "two")
    assert (await client.get_secret("token")).value == "two"
    assert (await client.get_secret("token", first)).value == "one"
    assert len([each async for each in client.list_properties_of_secret_versions("token")]) == 2


async def test_a_secret_that_is_missing_is_a_404(client: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        await client.get_secret("nothing")


async def test_a_disabled_secret_is_a_403(vault: KeyVaultServer, client: SecretClient) -> None:
    vault.disable("token")
    with pytest.raises(HttpResponseError) as caught:
        await client.get_secret("token")
    assert caught.value.status_code == 403


async def test_a_throttling_vault_reports_when_to_come_back(vault: KeyVaultServer, client: SecretClient) -> None:
    vault.refuse_with(429, times=1, headers={"Retry-After": "3"})
    with pytest.raises(HttpResponseError) as caught:
        await client.get_secret("token")
    response: Any = caught.value.response
    assert response.headers["Retry-After"] == "3"
    assert (await client.get_secret("token")).value == "one"


async def test_a_vault_that_is_down_can_come_back(vault: KeyVaultServer, client: SecretClient) -> None:
    vault.down = True
    with pytest.raises(AzureError):
        await client.get_secret("token")
    vault.recover()
    assert (await client.get_secret("token")).value == "one"


async def test_the_managed_identity_gives_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ManagedIdentityServer() as identity:
        for name, value in identity.environ.items():
            monkeypatch.setenv(name, value)
        async with ManagedIdentityCredential(client_id="abc") as credential:
            token = await credential.get_token("https://storage.azure.com/.default")
    assert token.token == identity.token("https://storage.azure.com")
    assert identity.calls == [("https://storage.azure.com", "abc")]


async def test_the_managed_identity_refuses_a_wrong_header(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ManagedIdentityServer() as identity:
        monkeypatch.setenv("IDENTITY_ENDPOINT", identity.environ["IDENTITY_ENDPOINT"])
        monkeypatch.setenv("IDENTITY_HEADER", "wrong")
        async with ManagedIdentityCredential() as credential:
            with pytest.raises((ClientAuthenticationError, CredentialUnavailableError)):
                await asyncio.wait_for(credential.get_token("https://storage.azure.com/.default"), 10)
    assert identity.calls == []
