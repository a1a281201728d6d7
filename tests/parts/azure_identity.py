"""Key Vault over TLS, and App Service's managed identity endpoint, on loopback.

    async with KeyVaultServer() as vault:
        vault.set("checkout-token", "one")              # each call makes a new version: rotation
        vault.disable("checkout-token")                 # 403, as a disabled secret gives
        vault.refuse_with(403)                          # see service: the vault as a whole; 429 with Retry-After, ...
        SecretClient(vault.url, FakeCredential(), **vault.client_options)       # sync, and azure.keyvault.secrets.aio
        vault.calls("checkout-token")                   # answered or refused reads of a secret, without challenges
        vault.challenges                                # unauthenticated requests that were answered 401

    async with ManagedIdentityServer() as identity:
        os.environ.update(identity.environ)             # before the credential is constructed
        identity.calls                                  # [(resource, client_id or None), ...]
        identity.lifetime = 3600                        # seconds, of the tokens it gives
        identity.token(resource, n)                     # the n-th token it gives

A synchronous client has to run in asyncio.to_thread: the servers live in the test's loop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.parts.http_server import Answer, Request
from tests.parts.service import Service
from tests.parts.tls import ca_file

CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/{tenant}", resource="https://vault.azure.net"'
TENANT = "11111111-2222-3333-4444-555555555555"


class FakeCredential:
    """A token credential without a service, for async clients. `scopes`: those of the requested tokens."""

    def __init__(self) -> None:
        self.scopes: list[str] = []
        self.closed = False

    async def get_token(self, *scopes: str, **_: Any) -> Any:
        from azure.core.credentials import AccessToken

        self.scopes += scopes
        return AccessToken("fake-token", int(time.time()) + 3600)

    async def close(self) -> None:
        self.closed = True

    async def __aenter__(self) -> FakeCredential:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@dataclass
class _Version:
    value: str
    id: str = field(default_factory=lambda: uuid4().hex)
    enabled: bool = True
    created: int = field(default_factory=lambda: int(time.time()))


class KeyVaultServer(Service):
    """Speaks the challenge and the reading of secrets."""

    def __init__(self) -> None:
        super().__init__(tls="good")
        self.challenges = 0
        self._secrets: dict[str, list[_Version]] = {}
        self._calls: dict[str, int] = {}

    @property
    def client_options(self) -> dict[str, Any]:
        """For SecretClient: trust our authority, accept a vault that is not under vault.azure.net."""
        return {"verify_challenge_resource": False, "connection_verify": ca_file()}

    def set(self, name: str, value: str) -> str:
        """A new version of a secret; its id is returned."""
        version = _Version(value)
        self._secrets.setdefault(name, []).append(version)
        return version.id

    def disable(self, name: str) -> None:
        self._secrets[name][-1].enabled = False

    def remove(self, name: str) -> None:
        del self._secrets[name]

    def calls(self, name: str | None = None) -> int:
        """How often a secret was requested with a token; of all without a name."""
        return sum(self._calls.values()) if name is None else self._calls.get(name, 0)

    def error_body(self, status: int) -> object:
        return _error({401: "Unauthorized", 403: "Forbidden", 429: "Throttled"}.get(status, "InternalError"))

    def answer(self, request: Request) -> Answer:
        if not self.down and not request.headers.get("authorization", "").startswith("Bearer "):
            self.challenges += 1
            challenge = {"www-authenticate": CHALLENGE.format(tenant=TENANT)}
            return Answer(401, challenge)
        _, kind, *rest = request.path.split("/")
        if kind == "secrets" and rest:
            self._calls[rest[0]] = self._calls.get(rest[0], 0) + 1
        return super().answer(request)

    def handle(self, request: Request) -> Answer:
        if request.method != "GET":
            return Answer.of_json(_error("BadParameter"), 405)
        match request.path.split("/")[1:]:
            case ["secrets", name, "versions"]:
                return self._versions(name)
            case ["secrets", name, *version]:
                return self._get(name, version[0] if version else "")
        return Answer.of_json(_error("NotFound"), 404)

    def _get(self, name: str, version: str) -> Answer:
        versions = [each for each in self._secrets.get(name, []) if version in ("", each.id)]
        if not versions:
            return Answer.of_json(_error("SecretNotFound"), 404)
        if not versions[-1].enabled:
            return Answer.of_json(_error("Forbidden", "SecretDisabled"), 403)
        return Answer.of_json({"value": versions[-1].value, **self._item(name, versions[-1])})

    def _versions(self, name: str) -> Answer:
        items = [self._item(name, version) for version in self._secrets.get(name, [])]
        return Answer.of_json({"value": items, "nextLink": None})

    def _item(self, name: str, version: _Version) -> dict[str, Any]:
        times = {"created": version.created, "updated": version.created}
        return {
            "id": f"{self.url}/secrets/{name}/{version.id}",
            "attributes": {"enabled": version.enabled, "recoveryLevel": "Recoverable", **times},
        }


class ManagedIdentityServer(Service):
    """Answers `IDENTITY_ENDPOINT` as App Service does."""

    HEADER = "identity-header-of-the-test"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str | None]] = []
        self.lifetime = 24 * 3600

    @property
    def environ(self) -> dict[str, str]:
        return {"IDENTITY_ENDPOINT": f"{self.url}/msi/token", "IDENTITY_HEADER": self.HEADER}

    @staticmethod
    def token(resource: str, number: int = 1) -> str:
        return f"token-{number}-for-{resource}"

    def error_body(self, status: int) -> object:
        return {"statusCode": status, "message": "refused, as the test wants it"}

    def handle(self, request: Request) -> Answer:
        resource = request.query.get("resource")
        if request.path != "/msi/token" or not resource or request.query.get("api-version") != "2019-08-01":
            return Answer.of_json(self.error_body(400), 400)
        if request.headers.get("x-identity-header") != self.HEADER:
            return Answer.of_json(self.error_body(401), 401)
        client_id = request.query.get("client_id")
        self.calls.append((resource, client_id))
        reply = {
            "access_token": self.token(resource, len(self.calls)),
            "expires_on": str(int(time.time()) + self.lifetime),
            "resource": resource,
            "token_type": "Bearer",
        }
        return Answer.of_json(reply if client_id is None else {**reply, "client_id": client_id})


def _error(code: str, inner: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": "an error of the test's vault"}
    return {"error": error if inner is None else {**error, "innererror": {"code": inner}}}
