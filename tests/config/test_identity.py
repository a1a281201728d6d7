"""The identity gives tokens from App Service's endpoint, played on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.identity.aio import ManagedIdentityCredential, WorkloadIdentityCredential

from config.identity import TOKEN_RENEWED_BEFORE_EXPIRY, AppIdentity, _new_credential
from config.settings.loading import load_settings
from config.settings.model import Settings
from jobs.errors import TokenUnavailable
from tests.config.clock import ManualClock
from tests.parts.ingestion import ManagedIdentityServer
from tests.project import ROOT

SCOPE = "api://checkout/.default"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManagedIdentityServer]:
    async with ManagedIdentityServer() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def identity(clock: ManualClock) -> AsyncIterator[AppIdentity]:
    identity = AppIdentity(Settings(environment="prod"), clock=clock, wall_time=lambda: time.time() + clock.passed)
    yield identity
    await identity.aclose()


async def test_a_token_of_the_managed_identity(server: ManagedIdentityServer, identity: AppIdentity) -> None:
    assert await identity.get_token(SCOPE) == server.token("api://checkout")
    assert server.calls == [("api://checkout", None)]


async def test_the_client_id_names_a_user_assigned_identity(server: ManagedIdentityServer) -> None:
    identity = AppIdentity(Settings(environment="prod", managed_identity_client_id="my-client"))
    await identity.get_token(SCOPE)
    await identity.aclose()
    assert server.calls == [("api://checkout", "my-client")]


async def test_a_token_is_stored_and_requested_once(server: ManagedIdentityServer, identity: AppIdentity) -> None:
    tokens = await asyncio.gather(*(identity.get_token(SCOPE) for _ in range(10)))
    assert len(set(tokens)) == len(server.calls) == 1


async def test_a_token_is_requested_again_before_it_ends(
    server: ManagedIdentityServer, identity: AppIdentity, clock: ManualClock
) -> None:
    server.lifetime = 3600
    requested: list[str] = []
    credential = await identity.open_credential()
    get_token = credential.get_token

    async def counted(*scopes: str) -> object:
        requested.extend(scopes)
        return await get_token(*scopes)

    credential.get_token = counted  # type: ignore[method-assign, assignment]
    await identity.get_token(SCOPE)
    clock.passed = 3600 - TOKEN_RENEWED_BEFORE_EXPIRY - 60
    await identity.get_token(SCOPE)
    assert len(requested) == 1
    clock.passed += 70
    await identity.get_token(SCOPE)
    assert len(requested) == 2


async def test_a_refusal_is_reported_with_the_scope_and_where_to_look(
    server: ManagedIdentityServer, identity: AppIdentity
) -> None:
    server.refuse_with(400)
    with pytest.raises(TokenUnavailable, match=r"^no token for api://checkout/.default: .*managed identity") as caught:
        await identity.get_token(SCOPE)
    assert "\n" not in str(caught.value)
    assert identity.health()[0].name == SCOPE


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a\n", "two words", "t\u00e4", "nul\0", "half\ud800"])
async def test_a_token_that_a_header_cannot_contain_is_refused(
    server: ManagedIdentityServer, identity: AppIdentity, token: str
) -> None:
    server.token = lambda resource, number=1: token  # type: ignore[method-assign, misc, assignment]
    with pytest.raises(TokenUnavailable, match=r"^no token for .*/.default: the answer has one that a header cannot"):
        await identity.get_token(SCOPE)


async def test_in_dev_it_is_any_caller_that_is_signed_in(server: ManagedIdentityServer) -> None:
    identity = AppIdentity(Settings(environment="dev"))
    assert await identity.get_token(SCOPE) == server.token("api://checkout")
    await identity.aclose()


async def test_nothing_is_opened_before_the_first_use() -> None:
    await AppIdentity(Settings(environment="prod")).aclose()


async def test_a_refused_token_is_got_anew_past_what_the_credential_keeps(
    server: ManagedIdentityServer, identity: AppIdentity
) -> None:
    first = await identity.get_token("https://vault.azure.net/.default")
    renewal = await identity.refresh_rejected("https://vault.azure.net/.default", first)
    assert (renewal.is_changed, renewal.message) == (
        True,
        "a new access token for https://vault.azure.net/.default was requested",
    )
    second = await identity.get_token("https://vault.azure.net/.default")
    assert (len(server.calls), second != first) == (2, True)
    again = await identity.refresh_rejected("https://vault.azure.net/.default", second)
    assert not again.is_changed
    assert "is unchanged since" in again.message
    assert second not in again.message


def test_in_a_pod_of_aks_the_identity_is_that_of_the_workload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The webhook of AKS sets these variables. The client id names no managed identity of the machine then."""
    (tmp_path / "token").write_text("token of the service account")
    environ = {
        "AZURE_CLIENT_ID": "00000000-0000-0000-0000-000000000001",
        "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000002",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
        "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = load_settings({**environ, "SCHEDULER_ENVIRONMENT": "prod"}, root=ROOT).settings
    credential = _new_credential(settings)
    assert settings.managed_identity_client_id is None
    assert isinstance(credential, ManagedIdentityCredential)
    assert isinstance(credential._credential, WorkloadIdentityCredential)
