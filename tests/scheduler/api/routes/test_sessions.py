"""A browser signs in with a key, is recognized by a cookie, and signs out."""

from __future__ import annotations

import html
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scheduler.authentication.own import KeyVerifier, OwnAuthenticator, Ways
from scheduler.authentication.port import Authentication
from scheduler.authentication.sessions import (
    MAX_SESSIONS,
    MAX_STARTS,
    PLAIN_COOKIE,
    SECURE_COOKIE,
    SessionRules,
    Sessions,
)
from scheduler.features.access.service import NewKey
from scheduler.identity.principal import PROGRAM_PRINCIPAL, Caller, ChangeSource, Role
from scheduler.rate_limits.limiter import OFF, RateLimitRules
from scheduler.stores.identity import SESSIONS_TABLE, ApiKeys, StoredSessions
from tests.config.clock import ManualClock
from tests.scheduler.api.api_client import BASE, ApiClient
from tests.scheduler.stores.memory import MemoryData, MemoryStore

SIGN_IN, SIGN_OUT = "/api/dashboard/sign-in", "/api/dashboard/sign-out"
PAGE = {"accept": "text/html"}
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


class Site(ApiClient):
    """An API that authenticates callers itself."""

    def __init__(self, *, is_remote: bool = False, failed_authentication: str = OFF) -> None:
        data = MemoryData()
        self.identity_store = MemoryStore(data)
        """Keys and sessions, read by authentication alone."""
        authentication = self._authenticate(self.identity_store, is_remote)
        rules = RateLimitRules(failed_authentication=failed_authentication)
        super().__init__(data=data, authentication=authentication, rate_limits=rules)

    def _authenticate(self, store: MemoryStore, is_remote: bool) -> Authentication:
        self.identity_clock = clock = ManualClock()
        keys = KeyVerifier(ApiKeys(store), clock)
        sessions = Sessions(StoredSessions(store), keys, SessionRules(3600, 600, not is_remote), clock)
        return Authentication(
            OwnAuthenticator(keys, Ways(session=sessions.authenticate)), sessions, is_remote=is_remote
        )

    async def create_key(self, name: str = "ada", role: Role = Role.OPERATOR) -> str:
        caller = Caller(PROGRAM_PRINCIPAL, ChangeSource.FILES)
        return (await self.services.operations.api_keys.create(NewKey(name, role), caller)).key


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site() as found:
        yield found


@pytest.fixture
async def admin(site: Site) -> dict[str, str]:
    """Headers of an admin. The user `ada` has signed in at the time of the operations."""
    site.identity_clock.passed += (site.shop.clock.now() - site.identity_clock.now()).total_seconds()
    await sign_in(site, await site.create_key())
    return {"authorization": f"Bearer {await site.create_key('root', Role.ADMIN)}"}


async def sign_in(site: Site, key: str, target: str = "/api/dashboard") -> None:
    answer = await site.request("POST", SIGN_IN, data={"key": key, "next": target}, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, target)


async def test_a_page_without_a_caller_leads_to_the_form_and_back(site: Site) -> None:
    key = await site.create_key()
    page = await site.request("GET", "/api/dashboard/jobs/checkout", headers=PAGE)
    form = await site.request("GET", page.headers["location"], headers=PAGE)

    assert page.status_code == 303
    assert 'name="next" value="/api/dashboard/jobs/checkout"' in form.text
    await sign_in(site, key, "/api/dashboard/jobs/checkout")
    shown = await site.request("GET", "/api/dashboard/jobs/checkout", headers=PAGE)
    assert shown.status_code == 200
    assert "api_key:ada, operator" in shown.text
    assert f'action="{SIGN_OUT}"' in shown.text


async def test_a_browser_gets_a_page_that_says_which_role_is_missing(site: Site) -> None:
    await sign_in(site, await site.create_key(role=Role.VIEWER))

    page = await site.request("GET", "/api/keys", headers=PAGE)
    problem = await site.request("GET", "/api/keys")

    assert (page.status_code, problem.status_code) == (403, 403)
    assert page.headers["content-type"].startswith("text/html")
    assert "Content-Security-Policy" in page.headers
    assert problem.json()["detail"] in html.unescape(page.text)
    assert "viewer" in problem.json()["detail"]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site) -> None:
    answer = await site.request("POST", SIGN_IN, data={"key": await site.create_key()}, headers=SAME_ORIGIN)

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{PLAIN_COOKIE}=")
    for attribute in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=3600"):
        assert attribute in cookie
    assert "Secure" not in cookie


async def test_beyond_loopback_the_cookie_is_for_https_alone() -> None:
    async with Site(is_remote=True) as site:
        answer = await site.request("POST", "/api/session", headers={"x-api-key": await site.create_key()})

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SECURE_COOKIE}=")
    assert "Secure" in cookie


async def test_a_session_is_started_shown_and_ended_over_the_api(site: Site) -> None:
    headers = {"authorization": f"Bearer {await site.create_key()}"}
    started = await site.request("POST", "/api/session", headers=headers)
    shown = await site.get("/api/session")
    ended = await site.request("DELETE", "/api/session", headers=SAME_ORIGIN)

    assert started.status_code == 201
    assert (started.json()["role"], started.json()["idle_seconds"]) == ("operator", 600)
    assert (shown.status_code, shown.json()["principal"]) == (200, "session:api_key:ada")
    assert ended.status_code == 204
    assert (await site.get("/api/session")).status_code == 401


async def test_an_admin_lists_and_ends_the_sessions_of_others_which_is_recorded(
    site: Site, admin: dict[str, str]
) -> None:
    cookie = site.cookies[PLAIN_COOKIE]

    listed = await site.request("GET", "/api/sessions", headers=admin)
    (found,) = listed.json()["sessions"]
    ended = await site.request("DELETE", f"/api/sessions/{found['id']}", headers=admin)
    again = await site.request("DELETE", f"/api/sessions/{found['id']}", headers=admin)

    assert (found["principal"], found["role"], found["address"]) == ("api_key:ada", "operator", "127.0.0.1")
    assert found["started_at"] == found["last_used_at"] < found["ends_at"]
    assert cookie not in listed.text
    assert (len(found["id"]), ended.status_code, again.status_code) == (12, 204, 404)
    assert (await site.request("GET", "/api/sessions", headers=admin)).json() == {"sessions": []}
    _, change = site.shop.audit.changes[-1]
    assert (change.action, change.summary) == ("session.end", f"session {found['id']} of api_key:ada was ended")


async def test_a_session_of_an_older_version_has_no_start_and_no_address(site: Site, admin: dict[str, str]) -> None:
    (place, row), *_ = [each for each in site.identity_store.data.rows.items() if each[0][0] == SESSIONS_TABLE]
    body = {key: value for key, value in json.loads(row.body).items() if key not in ("started_at", "address")}
    site.identity_store.data.rows[place] = replace(row, body=json.dumps(body))

    (found,) = (await site.request("GET", "/api/sessions", headers=admin)).json()["sessions"]

    assert (found["started_at"], found["address"], found["principal"]) == (None, "", "api_key:ada")


async def test_an_ended_session_is_not_revived_by_its_cookie(site: Site) -> None:
    await sign_in(site, await site.create_key())
    cookie = {"cookie": f"{PLAIN_COOKIE}={site.cookies[PLAIN_COOKIE]}"}

    out = await site.request("POST", SIGN_OUT, headers=SAME_ORIGIN)

    assert (out.status_code, out.headers["location"]) == (303, SIGN_IN)
    assert (await site.request("GET", "/api/jobs", headers=cookie)).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://other.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 202),
        ({"origin": BASE}, 202),
        ({"referer": f"{BASE}/api/dashboard"}, 202),
    ],
)
async def test_a_change_with_a_cookie_needs_the_own_origin(site: Site, headers: dict[str, str], status: int) -> None:
    await sign_in(site, await site.create_key())

    answer = await site.request("POST", "/api/jobs/checkout/run", headers=headers)

    assert answer.status_code == status


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/api/\n", "/x"]
)
async def test_the_form_never_leads_to_another_site(site: Site, target: str) -> None:
    key = await site.create_key()

    answer = await site.request("POST", SIGN_IN, data={"key": key, "next": target}, headers=SAME_ORIGIN)

    assert answer.headers["location"] == "/api/dashboard"


async def test_a_wrong_key_gets_the_form_again_and_no_cookie(site: Site) -> None:
    answer = await site.request("POST", SIGN_IN, data={"key": "sch_wrong"}, headers=SAME_ORIGIN)

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert "set-cookie" not in answer.headers
    assert "The API key is not valid." in answer.text
    assert "sch_wrong" not in answer.text


async def test_a_form_with_many_fields_gets_the_form_again(site: Site) -> None:
    answer = await site.request(
        "POST", SIGN_IN, data={f"field{number}": "1" for number in range(20)}, headers=SAME_ORIGIN
    )

    assert answer.status_code == 401
    assert "Enter an API key." in answer.text


async def test_a_cookie_does_not_help_an_invalid_key(site: Site) -> None:
    await sign_in(site, await site.create_key())

    assert (await site.request("GET", "/api/jobs", headers={"x-api-key": "sch_wrong"})).status_code == 401


async def test_sign_ins_and_failed_ones_are_in_the_audit_trail(site: Site) -> None:
    key = await site.create_key()
    await sign_in(site, key)
    await site.request("POST", SIGN_IN, data={"key": "sch_wrong"}, headers=SAME_ORIGIN)
    await site.request("POST", SIGN_OUT, headers=SAME_ORIGIN)

    trail = site.shop.audit
    assert [action for action, _ in trail.actions] == ["api_key.create", "session.start", "session.end"]
    assert [refusal.reason for refusal in trail.refusals] == ["key_malformed"]
    assert key not in repr((trail.changes, trail.refusals))


async def test_without_own_authentication_there_are_no_sessions() -> None:
    async with ApiClient() as site:
        started = await site.post("/api/session")
        form = await site.get(SIGN_IN)

    assert started.status_code == 409
    assert (form.status_code, form.headers["location"]) == (303, "/api/dashboard")


async def test_sign_ins_of_a_principal_are_bounded_and_say_which_sessions_end(site: Site) -> None:
    key = await site.create_key()
    answers = [await site.request("POST", "/api/session", headers={"x-api-key": key}) for _ in range(MAX_STARTS + 5)]

    assert [each.status_code for each in answers] == [201] * MAX_STARTS + [429] * 5
    assert int(answers[-1].headers["retry-after"]) in range(3500, 3601)
    stored = [place for place in site.identity_store.data.rows if place[0] == SESSIONS_TABLE]
    assert len(stored) == MAX_SESSIONS
    entries = [change.summary for _, change in site.shop.audit.changes if change.action == "session.start"]
    assert len(entries) == MAX_STARTS
    assert entries[MAX_SESSIONS - 1] == "api_key:ada signed in"
    assert entries[-1] == "api_key:ada signed in; 1 older session of it ended"
