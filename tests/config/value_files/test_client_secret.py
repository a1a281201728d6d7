"""The secret of a service principal is read from its file for each token."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.core.credentials import AccessToken

from config import azure_clients
from config.identity import AppIdentity
from config.settings.model import Settings
from jobs.errors import TokenUnavailable

SCOPE = "https://vault.azure.net/.default"


class Principals:
    """Plays the library's credential; `opened`: with what, `closed`: how many."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, str, str]] = []
        self.transports: list[object] = []
        self.closed = 0

    def __call__(self, tenant: str, client: str, secret: str, *, transport: object) -> Principals:
        self.opened.append((tenant, client, secret))
        self.transports.append(transport)
        return self

    async def get_token(self, *scopes: str) -> AccessToken:
        return AccessToken(f"token-for-{scopes[0]}-by-{self.opened[-1][2]}", 4102444800)

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def principals(monkeypatch: pytest.MonkeyPatch) -> Principals:
    principals = Principals()
    monkeypatch.setattr(azure_clients, "ClientSecretCredential", principals)
    return principals


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "secret"
    file.write_text("first\n")
    for name, value in {"TENANT_ID": "t", "CLIENT_ID": "c", "CLIENT_SECRET_FILE": str(file)}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    return file


async def test_a_rotated_secret_is_used_for_the_next_token(principals: Principals, file: Path) -> None:
    identity = AppIdentity(Settings(environment="dev"))
    first = await identity.get_token(SCOPE)
    assert first == f"token-for-{SCOPE}-by-first"
    file.write_text("second")  # noqa: ASYNC240 - a small file
    assert (await identity.refresh_rejected(SCOPE, first)).is_changed
    assert await identity.get_token(SCOPE) == f"token-for-{SCOPE}-by-second"
    await identity.aclose()
    assert principals.opened == [("t", "c", "first"), ("t", "c", "second")]
    assert principals.closed == 2


async def test_the_same_secret_opens_one_credential(principals: Principals, file: Path) -> None:
    credential = azure_clients.ClientSecretFileCredential(
        {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET_FILE": str(file)}
    )
    async with credential:
        await credential.get_token(SCOPE)
        await credential.get_token(SCOPE)
        file.write_text("second")  # noqa: ASYNC240 - a small file
        await credential.get_token(SCOPE)
    assert [secret for _, _, secret in principals.opened] == ["first", "second"]
    assert principals.closed == 2
    assert principals.transports[0] is not principals.transports[1]  # the first one is closed


@pytest.mark.usefixtures("principals")
async def test_a_missing_file_is_named(file: Path) -> None:
    file.unlink()  # noqa: ASYNC240 - a small file
    with pytest.raises(TokenUnavailable, match=f"AZURE_CLIENT_SECRET_FILE: {file} does not exist"):
        await AppIdentity(Settings(environment="dev")).get_token(SCOPE)


@pytest.mark.usefixtures("principals", "file")
async def test_the_tenant_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_TENANT_ID")
    with pytest.raises(TokenUnavailable, match="AZURE_CLIENT_SECRET_FILE needs AZURE_TENANT_ID and AZURE_CLIENT_ID"):
        await AppIdentity(Settings(environment="dev")).get_token(SCOPE)
