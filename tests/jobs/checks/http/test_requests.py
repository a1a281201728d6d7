"""The request that a target receives."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from jobs.runs import ErrorClass
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts.http_target import HttpTarget

SECRETS = {"user": "alice", "password": "pa:ss wörd", "token": "t0ken-value", "key": "k3y/value+more", "broken": "x\ny"}


async def test_a_plain_request_reports_who_requests_which_run(target: HttpTarget) -> None:
    async with open_http_check(user_agent="scheduler/1.2.3") as run_check:
        await run_check(target.url + "/health")
    request = target.last
    assert (request.method, request.target, request.body) == ("GET", "/health", b"")
    assert request.headers == {
        "host": target.url.removeprefix("http://"),
        "user-agent": "scheduler/1.2.3",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "connection": "close",
        "idempotency-key": "job@1",
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "TRACE"])
async def test_every_method_carries_the_run_id_as_idempotency_key(
    run_check: HttpCheckDriver, target: HttpTarget, method: str
) -> None:
    observed = await run_check(target.url, method=method)
    assert observed.status == 200
    assert (target.last.method, target.last.headers["idempotency-key"]) == (method, "job@1")


async def test_headers_of_the_job_replace_the_usual_ones_in_any_case(
    run_check: HttpCheckDriver, target: HttpTarget
) -> None:
    await run_check(target.url, headers={"user-AGENT": "mine", "Idempotency-Key": "fixed", "X-Note": "grüß"})
    headers = target.last.headers
    assert (headers["user-agent"], headers["idempotency-key"]) == ("mine", "fixed")
    assert headers["x-note"].encode("latin-1").decode() == "grüß"


async def test_the_query_of_the_job_follows_the_one_in_the_url(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    await run_check(target.url + "/find?sig=a%2Fb#part", query={"q": "a b&c", "page": "2"})
    assert target.last.target == "/find?sig=a%2Fb&q=a+b%26c&page=2"


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        ({"text": "grüß"}, "grüß", "text/plain; charset=utf-8"),
        ({"text": "<a/>", "content_type": "application/xml"}, "<a/>", "application/xml"),
        ({"json": {"a": [1, None, "ü"]}}, '{"a":[1,null,"ü"]}', "application/json"),
        ({"json": None}, "null", "application/json"),
        ({"form": {"a": "1 2", "b": "ü"}}, "a=1+2&b=%C3%BC", "application/x-www-form-urlencoded"),
    ],
    ids=["text", "text of a kind", "json", "json null", "form"],
)
async def test_a_body_is_sent_with_its_content_type(
    run_check: HttpCheckDriver, target: HttpTarget, body: dict[str, Any], sent: str, content_type: str
) -> None:
    await run_check(target.url, method="POST", body=body)
    assert target.last.body.decode() == sent
    assert target.last.headers["content-type"] == content_type


async def test_a_content_type_of_the_job_wins(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    await run_check(target.url, method="POST", body={"json": 1}, headers={"content-type": "application/vnd.api+json"})
    assert target.last.headers["content-type"] == "application/vnd.api+json"


async def test_a_large_body_arrives_whole(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    await run_check(target.url, method="PUT", body={"text": "x" * 3_000_000})
    assert len(target.last.body) == 3_000_000


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        ({"kind": "none"}, None),
        ({"kind": "bearer", "token": {"secret": "token"}}, "Bearer t0ken-value"),
        (
            {"kind": "basic", "username": {"secret": "user"}, "password": {"secret": "password"}},
            "Basic " + base64.b64encode("alice:pa:ss wörd".encode()).decode(),
        ),
        (
            {"kind": "basic", "username": "bob", "password": {"secret": "token"}},
            "Basic " + base64.b64encode(b"bob:t0ken-value").decode(),
        ),
        ({"kind": "managed_identity", "scope": "api://checkout/.default"}, "Bearer identity-token"),
    ],
    ids=["none", "bearer", "basic", "basic with a plain name", "managed identity"],
)
async def test_a_request_proves_who_it_is_by_the_authorization_header(
    target: HttpTarget, auth: dict[str, Any], sent: str | None
) -> None:
    async with open_http_check(SECRETS, {"api://checkout/.default": "identity-token"}) as run_check:
        await run_check(target.url, auth=auth)
    assert target.last.headers.get("authorization") == sent


async def test_an_api_key_stands_in_a_header(target: HttpTarget) -> None:
    async with open_http_check(SECRETS) as run_check:
        await run_check(target.url, auth={"kind": "api_key", "key": {"secret": "key"}, "name": "X-Key"})
    assert target.last.headers["x-key"] == "k3y/value+more"


async def test_an_api_key_stands_in_the_query(target: HttpTarget) -> None:
    async with open_http_check(SECRETS) as run_check:
        await run_check(
            target.url + "/?a=1", auth={"kind": "api_key", "key": {"secret": "key"}, "name": "code", "place": "query"}
        )
    assert target.last.query == {"a": "1", "code": "k3y/value+more"}


async def test_secrets_stand_wherever_a_text_may_stand(target: HttpTarget) -> None:
    async with open_http_check(SECRETS) as run_check:
        await run_check(
            target.url,
            method="POST",
            headers={"X-Token": {"secret": "token"}},
            query={"key": {"secret": "key"}},
            body={"form": {"user": {"secret": "user"}, "plain": "text"}},
        )
        assert sorted(run_check.secrets.requested) == ["key", "token", "user"]
    assert target.last.headers["x-token"] == "t0ken-value"
    assert target.last.query == {"key": "k3y/value+more"}
    assert target.last.body == b"user=alice&plain=text"


async def test_a_secret_that_is_used_twice_is_fetched_once(target: HttpTarget) -> None:
    async with open_http_check(SECRETS) as run_check:
        await run_check(
            target.url,
            method="POST",
            auth={"kind": "bearer", "token": {"secret": "token"}},
            body={"text": {"secret": "token"}},
        )
        assert run_check.secrets.requested == ["token"]
    assert target.last.body == b"t0ken-value"


async def test_secrets_tokens_and_what_is_made_of_them_are_redacted_from_then_on(target: HttpTarget) -> None:
    async with open_http_check(SECRETS, {"scope": "identity-token"}) as run_check:
        await run_check(target.url, auth={"kind": "basic", "username": "bob", "password": {"secret": "token"}})
        await run_check(target.url, auth={"kind": "managed_identity", "scope": "scope"})
        encoded = base64.b64encode(b"bob:t0ken-value").decode()
        assert run_check.redactor.redact(f"{encoded} t0ken-value identity-token") == "*** *** ***"


async def test_a_missing_secret_is_reported_as_secret_unavailable(target: HttpTarget) -> None:
    async with open_http_check() as run_check:
        observed = await run_check(target.url, auth={"kind": "bearer", "token": {"secret": "nowhere"}})
    assert (observed.error, observed.message) == (ErrorClass.SECRET_UNAVAILABLE, "There is no secret nowhere.")
    assert target.requests == []


async def test_a_missing_token_is_reported_as_token_unavailable(target: HttpTarget) -> None:
    async with open_http_check() as run_check:
        observed = await run_check(target.url, auth={"kind": "managed_identity", "scope": "api://x"})
    assert (observed.error, observed.message) == (ErrorClass.TOKEN_UNAVAILABLE, "No token for api://x.")


async def test_a_secret_that_no_header_can_carry_is_reported_without_its_value(target: HttpTarget) -> None:
    async with open_http_check(SECRETS) as run_check:
        observed = await run_check(target.url, auth={"kind": "bearer", "token": {"secret": "broken"}})
    assert observed.error is ErrorClass.SECRET_UNAVAILABLE
    assert "The secret broken has a line break" in observed.message
    assert "x\ny" not in observed.message
