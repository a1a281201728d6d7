"""Every route with every kind of caller: one cell a test. The expected results are declared in `table`."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from jobs.definition import JobDefinition
from scheduler.api.app import ROUTERS
from scheduler.api.declared_routes import DeclaredRoute
from scheduler.api.scopes import Scope
from scheduler.authentication.entra import (
    FETCH_TIMEOUT,
    MIN_FETCH_INTERVAL,
    EntraTenant,
    EntraTokens,
    RoleGrant,
    RoleMap,
    SigningKeys,
)
from scheduler.authentication.own import KeyVerifier, OwnAuthenticator, Ways
from scheduler.authentication.port import Authenticated, Authentication, AuthenticationMode, RequestCredentials
from scheduler.authentication.sessions import SessionRules, Sessions
from scheduler.catalog.catalog import CatalogJob
from scheduler.features.access.service import NewKey
from scheduler.features.incidents.models import INCIDENT_ID
from scheduler.identity.api_keys import ApiKey
from scheduler.identity.principal import PROGRAM_PRINCIPAL, Caller, ChangeSource, Role
from scheduler.stores.identity import ApiKeys, StoredSessions
from tests.config.clock import ManualClock as EntraClock
from tests.jobs.running.run_parts import REFUSED
from tests.parts.api_requests import JOB, TOKEN, api_requests, example_jobs, prepare
from tests.parts.openid_provider import AUDIENCE, TENANT, OpenIdProvider
from tests.scheduler.api.access.table import ALLOWED, FREE_ROUTES, LIMITED, LIMITED_ROUTES, TABLE
from tests.scheduler.api.api_client import ApiClient

PROGRAM = Caller(PROGRAM_PRINCIPAL, ChangeSource.FILES)
DECLARED = [route for router in ROUTERS for route in router.declared]
EXAMPLES = {f"{each.method} {each.template}": each for each in api_requests()}
CELLS = [(route, caller) for route in DECLARED for caller in TABLE]
FAR = 2**33
RUN = f"{JOB}@20261128T090000.000Z"
KEY_ID = "k7f3m2qd9x"
LETTER_ID = "20261128T090000.000Z.5f2c1d9b04aa"
REACHED = {
    "POST /api/dashboard/drafts/backtest": 422,
    "POST /api/runs/{run_id}/cancel": 409,
    "POST /api/dead-letters/{letter_id}/replay": 409,
    "POST /api/jobs/{name}/backfill": 422,
    "POST /api/jobs/{name}/duplicate": 409,
    "POST /api/jobs/{name}/versions/{number}/restore": 404,
    "POST /api/sets/{owner}/apply": 409,
    "POST /api/keys": 409,
    "POST /api/channels/{channel}/test": 404,
    "DELETE /api/sessions/{session_id}": 404,
    "GET /api/dashboard/audit/{number}": 404,
    "GET /api/ping/{token}/": 404,
    "POST /api/ping/{token}/": 404,
}
"""What routes answer apart from success: an earlier cell has changed the object, now is before the example, or the
audit trail of this test is not in the store."""
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
WRONG_ADDRESS = ("192.0.2.0/24",)
FORGED = base64.b64encode(
    json.dumps({"auth_typ": "aad", "claims": [{"typ": "roles", "val": "Scheduler.Admin"}]}).encode()
).decode()


def name_of(route: DeclaredRoute) -> str:
    return f"{route.method} {route.path}"


def expected(route: DeclaredRoute, caller: str) -> int:
    """The declared cell."""
    if (name_of(route), caller) in FREE_ROUTES:
        return FREE_ROUTES[name_of(route), caller]
    if name_of(route) == "POST /api/dashboard/sign-in":
        return 401  # the form has no key, whatever the headers are
    if name_of(route) == "POST /api/session" and TABLE[caller][Scope.READ] == 401:
        return 401
    cell = TABLE[caller][route.scope]
    if caller == LIMITED and TABLE["none"][route.scope] != ALLOWED:
        return LIMITED_ROUTES[name_of(route)]
    return cell


def open_client() -> httpx.AsyncClient:
    """As the program opens one, without its context of TLS, which takes longer than a cell: the provider has none."""
    return httpx.AsyncClient(timeout=FETCH_TIMEOUT, follow_redirects=False, trust_env=False, verify=NO_AUTHORITIES)


class Switch:
    """Authenticates as `chosen` does, so that a test can replace it."""

    mode = AuthenticationMode.OWN

    def __init__(self) -> None:
        self.chosen: OwnAuthenticator | None = None

    async def authenticate(self, request: RequestCredentials) -> Authenticated | None:
        assert self.chosen is not None
        return await self.chosen.authenticate(request)


class Site:
    """An API that authenticates callers itself, with a job of the team payments, and a client for each caller."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.runner.run(self._open())

    async def _open(self) -> None:
        definitions = example_jobs("http://127.0.0.1:9")
        jobs = [
            CatalogJob(JobDefinition.model_validate({"name": name, **body}), "jobs.yaml:1")
            for name, body in definitions.items()
        ]
        self.provider = await OpenIdProvider().__aenter__()
        self.switch = Switch()
        sessions = Sessions.__new__(Sessions)
        self.client = ApiClient(REFUSED, jobs=jobs, authentication=Authentication(self.switch, sessions))
        shop = self.client.shop
        shop.tokens.values = {"nightly-backup-token": TOKEN}
        self.clock = EntraClock()
        self.provider.now = lambda: self.clock.now().timestamp()
        self.stored_keys = ApiKeys(shop.store)
        keys = KeyVerifier(self.stored_keys, shop.clock)
        self.tenant = EntraTenant(TENANT, (AUDIENCE,), self.provider.authority)
        sessions.__init__(StoredSessions(shop.store), keys, SessionRules(3600, 600, True), shop.clock)  # type: ignore[misc]
        self.sessions = sessions
        self.roles = RoleMap({"Scheduler.Admin": RoleGrant(Role.ADMIN)})
        self.keys = keys
        self.use_entra()
        self.headers = await self._make_headers()

    def use_entra(self) -> None:
        """Authenticate with a fresh cache of signing keys."""
        signing_keys = SigningKeys(self.tenant.keys_url, self.clock, open_client)
        entra = EntraTokens(self.tenant, signing_keys, self.roles, self.clock)
        self.switch.chosen = OwnAuthenticator(self.keys, Ways(entra, None, self.sessions.authenticate))

    async def _make_headers(self) -> dict[str, dict[str, str]]:
        manager, now = self.client.services.operations.api_keys, self.client.shop.clock.now()

        async def key(name: str, role: Role, **values: Any) -> str:
            return (await manager.create(NewKey(name, role, **values), PROGRAM)).key

        provider = self.provider
        keys = {
            "metrics": await key("metrics", Role.METRICS),
            "viewer": await key("viewer", Role.VIEWER),
            "operator": await key("operator", Role.OPERATOR),
            "admin": await key("admin", Role.ADMIN),
            LIMITED: await key("limited", Role.ADMIN, tags=(("team", "shop"),)),
            "key from a wrong address": await key("elsewhere", Role.ADMIN, addresses=WRONG_ADDRESS),
        }
        revoked = await manager.create(NewKey("revoked", Role.ADMIN), PROGRAM)
        await manager.revoke(revoked.id, PROGRAM)
        expired = await manager.create(NewKey("expired", Role.ADMIN), PROGRAM)
        (stored,) = [each for each in await self.stored_keys.list_keys() if each.key.id == expired.id]
        await self.stored_keys.replace(stored, replace(stored.key, expires_at=now))
        bearers = keys | {
            "expired key": expired.key,
            "revoked key": revoked.key,
            "token with a wrong audience": provider.token(aud="api://other", exp=FAR),
            "token with a wrong issuer": provider.token(iss="https://issuer.example/", exp=FAR),
            "token of another tenant": provider.token(tid="11111111-2222-3333-4444-555555555555", exp=FAR),
            "expired token": provider.token(exp=1, nbf=0),
            "token with alg none": provider.unsigned_token(),
            "token signed with the public key": provider.token_signed_with_public_key(),
            "ID token": provider.id_token(exp=FAR),
        }
        headers = {name: {"authorization": f"Bearer {text}"} for name, text in bearers.items()}
        return headers | {"none": {}, "forged Easy Auth header": {"x-ms-client-principal": FORGED}}

    def request(self, route: DeclaredRoute, caller: str) -> httpx.Response:
        return self.runner.run(self._request(route, caller))

    async def _request(self, route: DeclaredRoute, caller: str) -> httpx.Response:
        example = EXAMPLES.get(name_of(route))
        prepared = EXAMPLES.get(name_of(route).replace("/api/dashboard/", "/api/"))  # a page shows the same object
        if prepared is not None:
            await prepare(self.client.shop.store, prepared, self.client.shop.clock.now())
        if "{key_id}" in route.path:
            await self._store_example_key()
        headers = await self._headers_of(caller)
        path, body = (route.path, None) if example is None else (example.path, example.body)
        path = fill(path)
        more = {} if body is None else {"json": body}
        sent = (dict(example.headers) if example is not None else {}) | headers
        answer = await self.client.request(route.method, path, headers=sent, **more)
        self.client.cookies.clear()
        self.provider.is_available, self.provider.key_number = True, 0
        return answer

    async def _store_example_key(self) -> None:
        """Store the key that the examples name, as if no cell had changed it."""
        now = self.client.shop.clock.now()
        key = ApiKey(KEY_ID, "example", Role.VIEWER, "hash", now, "test")
        stored = [each for each in await self.stored_keys.list_keys() if each.key.id == KEY_ID]
        await (self.stored_keys.replace(stored[0], key) if stored else self.stored_keys.insert(key))

    async def _headers_of(self, caller: str) -> dict[str, str]:
        if "token" in caller.lower():
            self.use_entra()
        if caller in self.headers:
            return self.headers[caller]
        if caller == "token after a rotation of the keys":
            await self.client.request(
                "GET", "/api/jobs", headers={"authorization": f"Bearer {self.provider.token(exp=FAR)}"}
            )
            self.provider.rotate()
            self.clock.passed += MIN_FETCH_INTERVAL
        else:
            self.provider.is_available = False
        return {"authorization": f"Bearer {self.provider.token(exp=FAR)}"}

    def close(self) -> None:
        self.runner.run(self.client.__aexit__(None, None, None))
        self.runner.run(self.provider.__aexit__(None, None, None))
        self.runner.close()


def fill(path: str) -> str:
    """The path with a value for each parameter that has no example."""
    values = {"name": JOB, "run_id": RUN, "token": TOKEN, "result": "0", "path": "styles.css", "digest": "0"}
    values |= {"incident_id": INCIDENT_ID, "letter_id": LETTER_ID, "key": JOB, "number": "1"}
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return path


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


def test_every_route_has_a_row() -> None:
    needing = {name_of(route) for route in DECLARED if TABLE["none"].get(route.scope) != ALLOWED}

    assert needing == set(LIMITED_ROUTES), "declare what a caller that is limited to a tag gets on these routes"
    assert {route.scope for route in DECLARED} <= set(Scope)
    assert all(set(row) == set(Scope) for row in TABLE.values())


@pytest.mark.parametrize(("route", "caller"), CELLS, ids=[f"{name_of(route)} - {caller}" for route, caller in CELLS])
def test_a_caller_gets_what_the_table_declares(route: DeclaredRoute, caller: str, site: Site) -> None:
    answer = site.request(route, caller)

    cell = expected(route, caller)
    if cell == ALLOWED:
        assert answer.status_code < 400 or answer.status_code == REACHED.get(name_of(route)), answer.text
        return
    assert answer.status_code == cell, answer.text
    assert answer.headers["content-type"] == "application/problem+json" or "html" in answer.headers["content-type"]
    if cell == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer realm=")
    elif cell == 403 and caller != LIMITED:
        assert "needs the role" in answer.json()["detail"]
