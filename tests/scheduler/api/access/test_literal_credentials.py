"""Literal credentials: rejected over the API where `validate` warns of them, and masked for callers below admin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.stored_jobs import LocatedStoredJob, StoredJobDefiner
from jobs.definition import JobDefinition
from jobs.warnings.credentials import find_literal_credentials, mask_literal_credentials
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.authentication.port import Authentication
from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.stores.dead_letters import DeadLetter
from tests.jobs.running.run_parts import REFUSED
from tests.scheduler.api.access.test_limited_changes import EVERYTHING, PATCH_TYPE
from tests.scheduler.api.access.test_tag_limits import Fixed
from tests.scheduler.api.api_client import ApiClient

CANARIES = ["canary-bearer-1", "canary-key-2", "canary-password-3", "canary-query-4", "canary-url-5", "canary-text-6"]
BEARER, KEY, PASSWORD, QUERY, URL, TEXT = CANARIES
VIEWER = Principal(PrincipalKind.API_KEY, "reader", Role.VIEWER)
OPERATOR = Principal(PrincipalKind.API_KEY, "operator", Role.OPERATOR)
LITERAL = {
    "name": "literal",
    "schedule": "every 30s",
    "check": {
        "kind": "http",
        "method": "POST",
        "url": f"http://127.0.0.1:9/?api_key={URL}",
        "headers": {"Authorization": f"Bearer {BEARER}", "X-Api-Key": KEY, "Accept": "text/plain"},
        "query": {"token": QUERY},
        "body": {"json": {"user": "reporting", "login": {"password": PASSWORD}}},
    },
}
FLAT = {
    "JobName": "flat",
    "Endpoint": f"http://127.0.0.1:9/?api_key={URL}",
    "HttpMethod": "POST",
    "Headers": {"X-Api-Key": KEY},
    "Body": f'{{"password": "{TEXT}"}}',
    "CronExpression": "0 */5 * * * *",
}


class Site:
    def __init__(self) -> None:
        self.fixed = Fixed(EVERYTHING)
        self.client = ApiClient(REFUSED, authentication=Authentication(self.fixed))

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        more = PATCH_TYPE if method == "PATCH" else {}
        return await self.client.request(method, path, json=body, headers=sent | more)

    async def read_as(self, principal: Principal, path: str) -> str:
        self.fixed.principal = principal
        answer = await self.send("GET", path)
        self.fixed.principal = EVERYTHING
        assert answer.status_code == 200, answer.text
        return str(answer.text)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.client:
        yield site


@pytest.mark.parametrize("definition", [LITERAL, FLAT])
async def test_a_literal_credential_is_rejected_with_the_hint_of_the_warning(
    site: Site, definition: dict[str, Any]
) -> None:
    warned = (await site.send("POST", "/api/definitions/validate", definition)).json()["warnings"]
    refused = await site.send("POST", "/api/jobs", definition)

    assert refused.status_code == 422
    warnings = {(f"body.{each['path']}", each["message"]) for each in warned}
    assert {(each["location"], each["message"]) for each in refused.json()["errors"]} <= warnings
    assert len(refused.json()["errors"]) == len(warnings) > 0
    assert all("allow_literal=true" in each["hint"] for each in refused.json()["errors"])
    assert "canary" not in refused.text


async def test_every_way_to_write_a_job_rejects_it_unless_it_is_allowed(site: Site) -> None:
    allowed = "allow_literal=true"
    plain = {**LITERAL, "check": {"kind": "http", "url": "http://127.0.0.1:9/"}}
    patch = {"check": LITERAL["check"]}
    sets = {"jobs": {"in-set": {key: value for key, value in LITERAL.items() if key != "name"}}}
    assert (await site.send("POST", f"/api/jobs?{allowed}", LITERAL)).status_code == 201
    assert (await site.send("PUT", "/api/jobs/literal", plain, If_Match="*")).status_code == 200

    ways: list[tuple[str, str, Any, dict[str, str]]] = [
        ("PUT", "/api/jobs/literal", LITERAL, {"If_Match": "*"}),
        ("PUT", "/api/jobs/literal", plain, {"If_Match": "*"}),
        ("PATCH", "/api/jobs/literal", patch, {"If_Match": "*"}),
        ("POST", "/api/jobs/literal/duplicate", {"name": "copy", "patch": {}}, {}),
        ("POST", "/api/jobs/literal/versions/1/restore", None, {"If_Match": "*"}),
        ("POST", "/api/sets/reports/plan", sets, {}),
    ]
    found = {}
    for method, path, body, headers in ways:
        refused = await site.send(method, path, body, **headers)
        found[method, path, body is plain] = refused.status_code
        accepted = await site.send(method, f"{path}?{allowed}", body, **headers)
        assert accepted.status_code in (200, 201), accepted.text

    assert found.pop(("PUT", "/api/jobs/literal", True)) == 200
    assert set(found.values()) == {422}


async def store_all(site: Site) -> list[str]:
    """Store the jobs, a version, a letter and the audit trail; return the paths that show definitions."""
    shop = site.client.shop
    await site.send("POST", "/api/jobs?allow_literal=true", LITERAL)
    await site.send("POST", "/api/jobs?allow_literal=true", FLAT)
    await site.send("PATCH", "/api/jobs/literal?allow_literal=true", {"description": "x"}, If_Match="*")
    await site.send("PATCH", "/api/jobs/literal", {"check": {"headers": None, "query": None, "body": None}})
    jobs = {"in-set": {key: value for key, value in LITERAL.items() if key != "name"}}
    plan = (await site.send("POST", "/api/sets/reports/plan?allow_literal=true", {"jobs": jobs})).json()
    path = f"/api/sets/reports/apply?allow_literal=true&plan_id={plan['plan_id']}"
    assert (await site.send("POST", path, {"jobs": jobs})).status_code == 200
    job = shop.catalog.get_job("literal").job
    letter = DeadLetter.from_ticket(shop.ticket(0, "literal"), "the worker ended", shop.clock.now(), job=job)
    await shop.dead_letters.add(letter)
    trail = StoredAuditTrail(shop.audit_log, shop.clock, shop.redactor)
    for caller, change in shop.audit.changes:
        await trail.record(caller, change)
    shown = [f"/api/jobs/{name}{end}" for name in ("literal", "flat") for end in ("", "/versions", "/versions/1")]
    shown += [f"/api/dashboard/jobs/{name}/{page}" for name in ("literal", "flat") for page in ("definition", "edit")]
    shown += ["/api/jobs?view=full", "/api/jobs", "/api/exports/jobs", "/api/exports/jobs?format=json"]
    shown += ["/api/jobs/literal/versions/2/diff?against=1", "/api/dashboard/new-job?copy=flat"]
    return [*shown, "/api/audit", "/api/audit/export", f"/api/dead-letters/{letter.id}", "/api/dashboard/audit"]


@pytest.mark.parametrize("principal", [VIEWER, OPERATOR])
async def test_no_reader_below_admin_sees_a_literal_credential(site: Site, principal: Principal) -> None:
    for path in await store_all(site):
        text = await site.read_as(principal, path)
        assert [each for each in CANARIES if each in text] == [], path


async def test_an_admin_sees_what_was_written(site: Site) -> None:
    await store_all(site)

    text = await site.read_as(EVERYTHING, "/api/jobs/literal/versions/1")

    assert all(canary in text for canary in (BEARER, KEY, PASSWORD, QUERY, URL))
    assert PASSWORD in await site.read_as(EVERYTHING, "/api/audit")


async def test_what_is_no_credential_is_shown(site: Site) -> None:
    await store_all(site)

    shown = (await site.client.get("/api/jobs/literal/versions/1")).json()["definition"]
    masked = mask_literal_credentials(shown)

    assert masked["check"]["headers"]["Accept"] == "text/plain"
    assert masked["check"]["body"]["json"]["user"] == "reporting"
    assert masked["name"] == "literal"


def test_names_of_secrets_are_not_masked() -> None:
    written = {
        "check": {
            "headers": {"X-Api-Key": {"secret": "checkout-key"}},
            "auth": {"kind": "bearer", "token": {"secret": "checkout-token"}},
        }
    }
    flat = {"Endpoint": "https://a.example/", "AuthType": "bearer", "TokenSecretName": "checkout-token"}

    assert mask_literal_credentials(written) == written
    assert mask_literal_credentials(flat) == flat


NAMES = st.sampled_from(["X-Api-Key", "Authorization", "Cookie", "password", "access_token", "code", "Accept", "user"])
VALUES = st.text("abcdefXYZ0123456789.-", min_size=1, max_size=40)
PAIRS = st.dictionaries(NAMES, VALUES, max_size=4)
JSON = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3))


@given(headers=PAIRS, query=PAIRS, form=PAIRS, document=JSON, is_form=st.booleans(), url=PAIRS)
def test_what_is_masked_has_no_credential_of_which_validate_warns(
    headers: dict[str, str],
    query: dict[str, str],
    form: dict[str, str],
    document: Any,
    is_form: bool,
    url: dict[str, str],
) -> None:
    address = "http://127.0.0.1:9/?" + "&".join(f"{name}={value}" for name, value in url.items())
    body = {"form": form} if is_form else {"json": document}
    check = {"kind": "http", "method": "POST", "url": address, "headers": headers, "query": query, "body": body}
    job = JobDefinition.model_validate({"name": "a", "schedule": "every 5s", "check": check})

    masked = JobDefinition.model_validate(mask_literal_credentials(job.to_json()))

    assert list(find_literal_credentials(masked)) == []


def test_a_flat_definition_is_masked_as_its_full_form_is_warned_of() -> None:
    defined = StoredJobDefiner(None).define(None, mask_literal_credentials(FLAT))

    assert isinstance(defined, LocatedStoredJob)
    assert list(find_literal_credentials(defined.job)) == []
