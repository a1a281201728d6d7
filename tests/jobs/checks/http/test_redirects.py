"""Redirects: which are followed, with what, and what stays behind."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from jobs.runs import ErrorClass
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts.http_target import HttpTarget

SECRETS = {"token": "t0ken-value", "key": "k3y-value"}


def redirect(target: HttpTarget, path: str, to: str, status: int = 302, **headers: str) -> None:
    target.on(
        path, status, headers={"location": to, **{name.replace("_", "-"): text for name, text in headers.items()}}
    )


@pytest.mark.parametrize("to", ["/new", "new", "../new", "//{host}/new", "{url}/new#part"])
async def test_a_redirect_is_followed_wherever_its_location_points(
    run_check: HttpCheckDriver, target: HttpTarget, to: str
) -> None:
    redirect(target, "/old", to.format(url=target.url, host=target.url.removeprefix("http://")))
    target.on("/new", body="here")
    observed = await run_check(target.url + "/old")
    assert (observed.status, observed.body) == (200, b"here")
    assert [request.path for request in target.requests] == ["/old", "/new"]


async def test_each_hop_has_a_connection_of_its_own(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    redirect(target, "/old", "/new")
    await run_check(target.url + "/old")
    assert target.connections == 2


async def test_as_many_redirects_as_allowed_are_followed(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    redirect(target, "/0", "/1")
    redirect(target, "/1", "/2")
    assert (await run_check(target.url + "/0", redirects=2)).status == 200


async def test_one_redirect_more_is_too_many(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    redirect(target, "/0", "/1")
    redirect(target, "/1", "/2")
    observed = await run_check(target.url + "/0", redirects=1)
    assert (observed.error, observed.status) == (ErrorClass.TOO_MANY_REDIRECTS, 302)


async def test_without_redirects_the_3xx_is_the_answer(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    target.on("/", 301, headers={"location": "/new"}, body="moved")
    observed = await run_check(target.url, redirects=0)
    assert (observed.status, observed.body, observed.headers["location"], observed.error) == (
        301,
        b"moved",
        "/new",
        None,
    )


@pytest.mark.parametrize("status", [300, 304, 305, 306])
async def test_other_3xx_are_answers(run_check: HttpCheckDriver, target: HttpTarget, status: int) -> None:
    redirect(target, "/", "/new", status)
    assert (await run_check(target.url)).status == status


async def test_a_redirect_to_nowhere_is_the_answer(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    target.on("/", 302)
    assert (await run_check(target.url)).status == 302


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (307, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
async def test_the_method_changes_as_browsers_change_it(
    run_check: HttpCheckDriver, target: HttpTarget, status: int, method: str, then: str
) -> None:
    redirect(target, "/old", "/new", status)
    await run_check(target.url + "/old", method=method, body={"text": "content"})
    assert target.last.method == then
    assert target.last.body == (b"content" if then == method else b"")
    assert ("content-type" in target.last.headers) is (then == method)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("ftp://127.0.0.1/x", "to a ftp URL, not to an http one"),
        ("mailto:somebody@example.com", "to a mailto URL"),
        ("http://[::1", "to something that is not a URL"),
        ("http://127.0.0.1:99999/", "to a port that cannot exist"),
    ],
)
async def test_a_location_that_cannot_be_requested_is_reported_as_protocol_error(
    run_check: HttpCheckDriver, target: HttpTarget, location: str, expected: str
) -> None:
    redirect(target, "/", location)
    observed = await run_check(target.url)
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert observed.message.startswith(f"127.0.0.1:{target.port} redirects ")
    assert expected in observed.message


async def test_an_error_names_the_hop_that_failed(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    redirect(target, "/", "http://nowhere.invalid/x")
    observed = await run_check(target.url)
    assert observed.error is ErrorClass.DNS_FAILURE
    assert "nowhere.invalid" in observed.message


# --- what may be seen where ---

_PRIVATE: dict[str, Any] = {
    "auth": {"kind": "bearer", "token": {"secret": "token"}},
    "headers": {"X-Secret": {"secret": "key"}, "Cookie": "session=1", "X-Plain": "text", "Host": "checkout.internal"},
}


async def test_credentials_go_along_within_the_origin(target: HttpTarget) -> None:
    redirect(target, "/old", "/new")
    async with open_http_check(SECRETS) as run_check:
        await run_check(target.url + "/old", **_PRIVATE)
    assert {"authorization", "x-secret", "cookie", "x-plain"} <= target.last.headers.keys()
    assert target.last.headers["host"] == "checkout.internal"


async def test_credentials_stay_behind_when_the_origin_changes(target: HttpTarget) -> None:
    async with HttpTarget() as other, open_http_check(SECRETS) as run_check:
        redirect(target, "/old", other.url + "/new")
        await run_check(target.url + "/old", **_PRIVATE)
        headers = other.last.headers
    assert not {"authorization", "x-secret", "cookie"} & headers.keys()
    assert (headers["x-plain"], headers["host"]) == ("text", other.url.removeprefix("http://"))


async def test_keys_and_sessions_stay_behind_also_where_they_are_no_secrets(target: HttpTarget) -> None:
    names = ("X-API-Key", "Ocp-Apim-Subscription-Key", "x-functions-key", "X-Auth-Token", "X-Session", "Authorization")
    async with HttpTarget() as other, open_http_check() as run_check:
        redirect(target, "/old", other.url + "/new")
        await run_check(target.url + "/old", headers=dict.fromkeys(names, "value") | {"X-Trace": "value"})
        headers = other.last.headers
    assert not {name.lower() for name in names} & headers.keys()
    assert (headers["x-trace"], headers["idempotency-key"]) == ("value", "job@1")


async def test_an_api_key_in_a_header_stays_behind_when_the_origin_changes(target: HttpTarget) -> None:
    async with HttpTarget() as other, open_http_check(SECRETS) as run_check:
        redirect(target, "/old", other.url + "/new")
        await run_check(target.url + "/old", auth={"kind": "api_key", "key": {"secret": "key"}, "name": "X-Mine"})
        assert target.requests[0].headers["x-mine"] == "k3y-value"
        assert "x-mine" not in other.last.headers


async def test_credentials_stay_behind_for_good(target: HttpTarget) -> None:
    async with HttpTarget() as other, open_http_check(SECRETS) as run_check:
        redirect(target, "/old", other.url + "/back")
        redirect(other, "/back", target.url + "/new")
        await run_check(target.url + "/old", **_PRIVATE)
    assert target.last.path == "/new"
    assert not {"authorization", "x-secret", "cookie"} & target.last.headers.keys()


async def test_credentials_stay_behind_when_https_becomes_http(target: HttpTarget) -> None:
    async with HttpTarget(tls="good") as secure, open_http_check(SECRETS) as run_check:
        redirect(secure, "/old", target.url + "/new")
        await run_check(secure.url + "/old", tls={"ca_file": secure.ca_file}, **_PRIVATE)
        assert "authorization" in secure.last.headers
    assert not {"authorization", "x-secret", "cookie"} & target.last.headers.keys()


async def test_an_api_key_in_the_query_is_not_passed_on(target: HttpTarget) -> None:
    redirect(target, "/old", "/new")
    async with open_http_check(SECRETS) as run_check:
        await run_check(
            target.url + "/old", auth={"kind": "api_key", "key": {"secret": "key"}, "name": "code", "place": "query"}
        )
    assert (target.requests[0].query, target.last.query) == ({"code": "k3y-value"}, {})


async def test_a_body_with_a_secret_does_not_go_to_another_origin(target: HttpTarget) -> None:
    async with HttpTarget() as other, open_http_check(SECRETS) as run_check:
        redirect(target, "/old", other.url + "/new", 307)
        observed = await run_check(target.url + "/old", method="POST", body={"text": {"secret": "token"}})
        assert other.requests == []
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert "the secret in the request's body must not go" in observed.message


def as_base64(value: str) -> str:
    return base64.b64encode(f"user:{value}".encode()).decode()


IN_LOCATIONS: dict[str, Callable[[str], str]] = {
    "query": lambda value: f"/new?code={value}",
    "path": lambda value: f"/{value}/new",
    "encoded": lambda value: "/new?next=" + "".join(f"%{ord(sign):02x}" for sign in value),
    "base64": lambda value: f"/new?state={as_base64(value)}",
}


@pytest.mark.parametrize("way", IN_LOCATIONS)
async def test_a_secret_does_not_go_to_another_origin_in_the_url_that_the_target_gives(
    target: HttpTarget, way: str
) -> None:
    """As a server does that leads http to https under another name."""
    auth = {"kind": "api_key", "key": {"secret": "key"}, "name": "code", "place": "query"}
    async with HttpTarget() as other, open_http_check(SECRETS) as run_check:
        redirect(target, "/old", other.url + IN_LOCATIONS[way]("k3y-value"))
        observed = await run_check(target.url + "/old", auth=auth)
        assert (other.requests, target.last.query) == ([], {"code": "k3y-value"})
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert (
        "redirects to another origin with a secret of the job in the URL, which must not go there" in observed.message
    )
    assert "k3y" not in observed.message


async def test_a_secret_in_the_url_stays_there_within_the_origin(target: HttpTarget) -> None:
    auth = {"kind": "api_key", "key": {"secret": "key"}, "name": "code", "place": "query"}
    redirect(target, "/old", "/new?code=k3y-value")
    async with open_http_check(SECRETS) as run_check:
        assert (await run_check(target.url + "/old", auth=auth)).status == 200
    assert target.last.query == {"code": "k3y-value"}


async def test_a_location_cannot_choose_credentials(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    redirect(target, "/old", target.url.replace("http://", "http://mallory:guess@") + "/new")
    await run_check(target.url + "/old")
    assert target.last.path == "/new"
    assert "authorization" not in target.last.headers


# --- cookies ---


async def test_a_cookie_that_a_redirect_sets_is_brought_along(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    redirect(target, "/old", "/new", set_cookie="seen=yes; Path=/")
    await run_check(target.url + "/old")
    assert target.last.headers["cookie"] == "seen=yes"


async def test_a_cookie_is_forgotten_with_the_run(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    redirect(target, "/old", "/new", set_cookie="seen=yes; Path=/")
    target.on("/new", headers={"set-cookie": "more=yes; Path=/"})
    await run_check(target.url + "/old")
    await run_check(target.url + "/other")
    assert "cookie" not in target.last.headers


async def test_a_cookie_is_not_sent_to_another_host(run_check: HttpCheckDriver, target: HttpTarget) -> None:
    async with HttpTarget(host="::1") as other:
        redirect(target, "/old", other.url + "/new", set_cookie="seen=yes; Path=/")
        await run_check(target.url + "/old")
        assert "cookie" not in other.last.headers
