"""The limits of requests over HTTP: fields, 429, what is not limited, and failed authentication."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from scheduler.api.middleware.request_limits import FailedAuthenticationLimiter, RateLimiter
from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.rate_limits.limiter import RateLimitRules, RateLimits
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import VirtualClock

RULES = RateLimitRules(read="3/minute", operate="2/hour", manage="1/minute", failed_authentication="3/minute")


class Place:
    """An app behind the limits and an authentication that a request steers by its headers."""

    def __init__(self, rules: RateLimitRules = RULES) -> None:
        self.clock = VirtualClock()
        limits = RateLimits(rules, self.clock)
        self.reached = 0
        limited = RateLimiter(self.app, limits)

        async def authentication(scope: Scope, receive: Receive, send: Send) -> None:
            key = httpx.Headers(scope["headers"]).get("x-api-key", "")
            if key in ("wrong", "none"):
                error = b', error="invalid_token"' if key == "wrong" else b""
                headers = [(b"www-authenticate", b"Bearer" + error)]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b"refused"})
                return
            principal = Principal(PrincipalKind.API_KEY, key, Role.ADMIN)
            await limited({**scope, "state": {"principal": principal} if key else {}}, receive, send)

        self.outside = FailedAuthenticationLimiter(authentication, limits)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
        await send({"type": "http.response.body", "body": b"done"})

    async def ask(
        self, key: str = "deploy", method: str = "GET", path: str = "/api/jobs", address: str = "192.0.2.1"
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.outside, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers={"x-api-key": key} if key else {})

    async def statuses(self, number: int, **request: Any) -> list[int]:
        return [(await self.ask(**request)).status_code for _ in range(number)]


async def test_each_response_has_the_policy_and_what_remains() -> None:
    place = Place()
    answers = [await place.ask() for _ in range(2)]

    assert [answer.headers["ratelimit"] for answer in answers] == ['"read";r=2;t=60', '"read";r=1;t=60']
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"read";q=3;w=60'}
    assert (answers[0].text, answers[0].headers["x-own"]) == ("done", "1")


async def test_a_request_beyond_the_limit_is_rejected_with_when_to_retry() -> None:
    place = Place()
    await place.statuses(3)
    place.clock.move(20.5)
    refused = await place.ask()

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
    assert refused.headers["ratelimit"] == '"read";r=0;t=40'
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json() == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Too many read requests of this principal: at most 3 in 60 s are allowed. Retry in 40 s.",
        "instance": "/api/jobs",
    }
    assert place.reached == 3
    place.clock.move(40)
    assert (await place.ask()).status_code == 200


async def test_methods_principals_and_anonymous_addresses_are_counted_apart() -> None:
    place = Place()
    assert await place.statuses(4) == [200, 200, 200, 429]
    assert await place.statuses(1, method="HEAD") == [429]
    assert await place.statuses(3, method="POST") == [200, 200, 429]
    assert await place.statuses(1, method="PUT") + await place.statuses(2, method="DELETE") == [200, 429, 429]
    assert await place.statuses(4, key="other") == [200, 200, 200, 429]
    assert await place.statuses(4, key="") == [200, 200, 200, 429]
    assert await place.statuses(1, key="", address="192.0.2.2") == [200]
    assert await place.statuses(1, address="192.0.2.2") == [429]


async def test_health_and_pings_have_no_limit_and_count_towards_none() -> None:
    place = Place()
    for path in ("/api/health", "/api/health/ready", "/api/health/live", "/api/ping/token"):
        answers = [await place.ask(path=path) for _ in range(50)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[0].headers
    assert await place.statuses(4) == [200, 200, 200, 429]
    assert (await place.ask(path="/api/health/ready")).status_code == 200


async def test_an_address_that_fails_authentication_too_often_is_rejected() -> None:
    place = Place()
    assert await place.statuses(5, key="wrong") == [401, 401, 401, 429, 429]
    blocked = await place.ask(key="wrong")
    assert (blocked.status_code, blocked.headers["retry-after"]) == (429, "60")
    assert "Too many requests of this address failed authentication: at most 3 in 60 s" in blocked.json()["detail"]
    assert await place.statuses(1, key="wrong", address="192.0.2.2") == [401]
    assert await place.statuses(1, path="/api/health/ready") == [200]

    place.clock.move(60)
    assert await place.statuses(1, key="wrong") == [401]


async def test_a_valid_credential_of_an_address_that_fails_too_often_passes() -> None:
    place = Place()
    await place.statuses(5, key="wrong")
    assert await place.statuses(1) == [200]


@pytest.mark.parametrize("address", ["2001:db8:1:2::{}", "[2001:db8:1:2::{}]", "2001:db8:1:2:{}::1%eth0"])
async def test_the_addresses_of_an_ipv6_network_are_counted_together(address: str) -> None:
    place = Place()
    statuses = [(await place.ask("wrong", address=address.format(number))).status_code for number in range(1, 6)]
    anonymous = [(await place.ask("", address=f"2001:db8:7::{number}")).status_code for number in range(4)]

    assert statuses == [401, 401, 401, 429, 429]
    assert anonymous == [200, 200, 200, 429]
    assert await place.statuses(1, key="wrong", address="2001:db8:1:3::1") == [401]
    assert await place.statuses(1, key="wrong", address="::ffff:192.0.2.1") == [401]
    assert await place.statuses(3, key="wrong", address="192.0.2.1") == [401, 401, 429]


async def test_a_path_that_only_begins_like_health_is_limited() -> None:
    assert await Place().statuses(4, key="wrong", path="/api/healthy") == [401, 401, 401, 429]


async def test_a_response_that_replaces_401_has_nothing_of_it() -> None:
    place = Place()
    await place.statuses(3, key="wrong")
    refused = await place.ask(key="wrong")

    assert "www-authenticate" not in refused.headers
    assert "refused" not in refused.text


async def test_a_request_without_a_credential_is_not_an_attempt() -> None:
    assert await Place().statuses(10, key="none") == [401] * 10


async def test_a_client_that_obeys_the_fields_gets_no_429() -> None:
    place = Place(RateLimitRules(read="5/second"))
    for _ in range(60):
        answer = await place.ask()
        assert answer.status_code == 200
        found = re.fullmatch(r'"read";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
        assert found is not None
        if int(found[1]) == 0:
            place.clock.move(int(found[2]))


@pytest.mark.parametrize("path", ["/api/jobs", "/api/nothing", "/api/jobs/none"])
async def test_every_response_of_the_api_has_the_fields(path: str) -> None:
    async with ApiClient(rate_limits=RULES) as client:
        answers = [await client.get(path) for _ in range(4)]

    states = [answer.headers["ratelimit"].rpartition(";t=")[0] for answer in answers[::3]]
    assert states == ['"read";r=2', '"read";r=0']
    assert answers[3].status_code == 429
    assert answers[3].headers["x-content-type-options"] == "nosniff"


async def test_without_limits_no_response_has_the_fields() -> None:
    async with ApiClient() as client:
        assert "ratelimit" not in (await client.get("/api/jobs")).headers


@pytest.mark.parametrize(
    ("method", "path", "group"),
    [
        ("GET", "/api/jobs", "read"),
        ("HEAD", "/api/jobs", "read"),
        ("POST", "/api/jobs/checkout/pause", "operate"),
        ("POST", "/api/jobs", "manage"),
        ("POST", "/api/sets/shop/plan", "manage"),
        ("DELETE", "/api/jobs/checkout", "manage"),
        ("POST", "/api/definitions/validate", "operate"),
        ("POST", "/api/nothing", "operate"),
    ],
)
async def test_a_request_counts_in_the_group_of_the_scope_of_its_route(method: str, path: str, group: str) -> None:
    rules = RateLimitRules(read="100/minute", operate="100/minute", manage="100/minute")
    async with ApiClient(rate_limits=rules) as client:
        answer = await client.request(method, path)

    assert answer.headers["RateLimit-Policy"].startswith(f'"{group}"')
