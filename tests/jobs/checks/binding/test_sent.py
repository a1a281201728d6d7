"""No check sends a secret or a token to a host that its rule does not name, wherever the job puts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.check_rules import build_bindings
from config.settings.model import Settings
from jobs.checks import Checks
from jobs.checks.binding.rules import Bindings
from jobs.checks.clock import PhaseClock
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.http_target import HttpTarget
from tests.parts.proxy import Proxy
from tests.parts.tls import ca_file
from tests.parts.token_endpoint import TokenEndpoint

SECRETS = {"team": "t3am-secret-value", "client": "cl1ent-secret", "free": "fr33-secret-value"}
SCOPE = "api://checkout/.default"
SECRET = {"secret": "team"}
HERE, ELSEWHERE = "127.0.0.1", "localhost"
"""Two hosts by their names. The rules name the first."""


def bound(**more: Any) -> Bindings:
    allow = {"team": [HERE], "client": [HERE], "free": ["*"], **more}
    identity = {"unbound": "deny", "allow": {SCOPE: [HERE]}}
    return build_bindings(
        Settings.model_validate({"secrets": {"unbound": "deny", "allow": allow}, "identity": identity})
    )


async def run_check(check: dict[str, Any], bindings: Bindings | None = None, **tags: str) -> Observation:
    secrets = MemorySecrets(SECRETS)
    target = JobDefinition.model_validate({"name": "a", "check": check}).check
    checks = Checks(
        CheckDependencies(
            secrets, MemoryTokens({SCOPE: "t0ken"}), Redactor(), guard=LOCAL_GUARD, bindings=bindings or bound()
        )
    )
    try:
        observed = await checks.observe(target, AttemptContext("a@1", 1, PhaseClock(), tags=tags))
    finally:
        await checks.aclose()
    if observed.error is ErrorClass.TARGET_DENIED:
        assert "To allow it, " in observed.message
    return observed


def on(host: str, target: HttpServer, path: str = "/") -> str:
    return f"{'http'}://{host}:{target.port}{path}"


WAYS: dict[str, dict[str, Any]] = {
    "query": {"query": {"q": SECRET}},
    "header": {"headers": {"X-A": SECRET}},
    "text body": {"method": "POST", "body": {"text": SECRET}},
    "form": {"method": "POST", "body": {"form": {"a": SECRET}}},
    "basic": {"auth": {"kind": "basic", "username": "a", "password": SECRET}},
    "user name": {"auth": {"kind": "basic", "username": SECRET, "password": {"secret": "free"}}},
    "bearer": {"auth": {"kind": "bearer", "token": SECRET}},
    "api key": {"auth": {"kind": "api_key", "key": SECRET}},
    "api key in the query": {"auth": {"kind": "api_key", "key": SECRET, "place": "query"}},
    "another spelling": {"headers": {"X-A": {"secret": "TEAM"}}},
    "identity": {"auth": {"kind": "managed_identity", "scope": SCOPE}},
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_place_of_a_request_is_checked(way: str, target: HttpTarget) -> None:
    denied = await run_check({"url": on(ELSEWHERE, target), **WAYS[way]})
    assert (denied.error, target.connections) == (ErrorClass.TARGET_DENIED, 0)
    allowed = await run_check({"url": on(HERE, target), **WAYS[way]})
    # The other spelling has no value here.
    assert allowed.status == 200 or allowed.error is ErrorClass.SECRET_UNAVAILABLE


async def test_nothing_is_read_that_may_not_be_sent(target: HttpTarget) -> None:
    secrets = MemorySecrets(SECRETS)
    checks = Checks(CheckDependencies(secrets, MemoryTokens(), Redactor(), guard=LOCAL_GUARD, bindings=bound()))
    check = {"url": on(ELSEWHERE, target), "query": {"a": SECRET, "b": {"secret": "free"}}}
    try:
        job = JobDefinition.model_validate({"name": "a", "check": check})
        await checks.observe(job.check, AttemptContext("a@1", 1, PhaseClock()))
    finally:
        await checks.aclose()
    assert secrets.requested == []


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"Host": "localhost", "X-A": SECRET}},
        {"headers": {"HOST": "localhost:1", "X-A": SECRET}},
        {"headers": {"X-A": SECRET}, "server_name": "localhost"},
    ],
    ids=["host", "host and port", "server name"],
)
async def test_every_name_that_a_request_is_addressed_to_counts(more: dict[str, Any], target: HttpTarget) -> None:
    observed = await run_check({"url": on(HERE, target), **more})
    assert (observed.error, target.connections) == (ErrorClass.TARGET_DENIED, 0)


async def test_a_proxy_that_can_read_the_request_counts(target: HttpTarget) -> None:
    async with Proxy() as proxy, HttpTarget(tls="good") as secure:
        by = {"proxy": proxy.url.replace(HERE, ELSEWHERE), "headers": {"X-A": SECRET}}
        plain = await run_check({"url": on(HERE, target), **by})
        unchecked = await run_check({"url": secure.url.replace(ELSEWHERE, HERE), "tls": {"verify": False}, **by})
        sealed = await run_check({"url": secure.url.replace(ELSEWHERE, HERE), "tls": {"ca_file": ca_file()}, **by})
        assert (plain.error, unchecked.error) == (ErrorClass.TARGET_DENIED, ErrorClass.TARGET_DENIED)
        assert sealed.error is not ErrorClass.TARGET_DENIED


async def test_a_proxys_password_reaches_the_proxy_alone(target: HttpTarget) -> None:
    async with Proxy() as proxy:
        auth = {"username": "probe", "password": SECRET}
        allowed = await run_check({"url": on(ELSEWHERE, target), "proxy": proxy.url, "proxy_auth": auth})
        elsewhere = proxy.url.replace(HERE, ELSEWHERE)
        denied = await run_check({"url": on(HERE, target), "proxy": elsewhere, "proxy_auth": auth})
    assert (allowed.status, denied.error) == (200, ErrorClass.TARGET_DENIED)


@pytest.fixture
async def endpoint() -> AsyncIterator[TokenEndpoint]:
    async with TokenEndpoint() as server:
        yield server


def oauth(host: str, endpoint: TokenEndpoint) -> dict[str, Any]:
    return {
        "kind": "oauth2",
        "token_url": on(host, endpoint, "/token"),
        "client_id": "probe",
        "client_secret": {"secret": "client"},
    }


async def test_a_clients_secret_reaches_no_other_token_endpoint(endpoint: TokenEndpoint, target: HttpTarget) -> None:
    observed = await run_check({"url": on(HERE, target), "auth": oauth(ELSEWHERE, endpoint)})
    assert (observed.error, endpoint.connections) == (ErrorClass.TARGET_DENIED, 0)


async def test_a_clients_token_reaches_no_other_target(endpoint: TokenEndpoint, target: HttpTarget) -> None:
    observed = await run_check({"url": on(ELSEWHERE, target), "auth": oauth(HERE, endpoint)})
    assert (observed.error, endpoint.connections, target.connections) == (ErrorClass.TARGET_DENIED, 0, 0)
    assert (await run_check({"url": on(HERE, target), "auth": oauth(HERE, endpoint)})).status == 200


async def test_a_dialogue_sends_a_secret_to_the_hosts_of_its_rule_alone(target: HttpTarget) -> None:
    dialogue = [{"send": SECRET}]
    denied = await run_check({"kind": "tcp", "host": ELSEWHERE, "port": target.port, "dialogue": dialogue})
    assert (denied.error, target.connections) == (ErrorClass.TARGET_DENIED, 0)
    allowed = await run_check({"kind": "tcp", "host": HERE, "port": target.port, "dialogue": dialogue})
    assert allowed.error is None


async def test_a_job_needs_the_tag_of_the_rule(target: HttpTarget) -> None:
    bindings = bound(team={"hosts": [HERE], "tags": ["team:checkout"]})
    check = {"url": on(HERE, target), "query": {"q": SECRET}}
    steps = {"kind": "steps", "steps": [{"name": "one", **check}], "cleanup": [{"name": "two", **check}]}
    assert (await run_check(check, bindings)).error is ErrorClass.TARGET_DENIED
    assert (await run_check(steps, bindings)).error is ErrorClass.TARGET_DENIED
    assert target.connections == 0
    assert (await run_check(check, bindings, team="checkout")).status == 200
    assert (await run_check(steps, bindings, team="checkout")).error is None
    assert target.connections == 3


# --- redirects ---


async def test_a_redirect_to_another_host_gets_nothing_and_is_followed(target: HttpTarget) -> None:
    target.on("/", 302, headers={"location": on(ELSEWHERE, target, "/next")})
    observed = await run_check({"url": on(HERE, target), "headers": {"X-A": SECRET}})
    assert (observed.status, "x-a" in target.last.headers) == (200, False)


async def test_a_second_redirect_at_the_other_host_is_followed_too(target: HttpTarget) -> None:
    target.on("/", 302, headers={"location": on(ELSEWHERE, target, "/a")})
    target.on("/a", 302, headers={"location": "/b"})
    observed = await run_check({"url": on(HERE, target), "headers": {"X-A": SECRET}})
    assert (observed.status, target.last.path) == (200, "/b")


# --- steps ---


class Login(HttpServer):
    def answer(self, request: Request) -> Answer:
        return Answer(body=b'{"token": "s3ssion", "next": "/next"}', headers={"location": "http://localhost/"})


def steps(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "steps", "steps": [{"name": f"s{number}", **step} for number, step in enumerate(steps)]}


async def test_each_step_is_checked(target: HttpTarget) -> None:
    observed = await run_check(
        steps({"url": on(HERE, target)}, {"url": on(ELSEWHERE, target), "headers": {"X-A": SECRET}})
    )
    assert (observed.error, target.connections) == (ErrorClass.TARGET_DENIED, 1)


async def test_the_url_of_a_step_counts_once_its_placeholders_are_filled_in(target: HttpTarget) -> None:
    target.on("/", 200, headers={"location": on(ELSEWHERE, target, "/next")})
    first = {"url": on(HERE, target), "save": {"next": {"header": "location"}}}
    observed = await run_check(steps(first, {"url": "${next}", "headers": {"X-A": SECRET}}))
    assert (observed.error, target.connections) == (ErrorClass.TARGET_DENIED, 1)


@pytest.mark.parametrize(
    "second",
    [
        {"headers": {"X-A": "${token}"}},
        {"query": {"q": "${token}"}},
        {"method": "POST", "body": {"json": {"a": ["${token}"]}}},
        {"method": "POST", "body": {"form": {"a": "x${token}"}}},
        {"method": "POST", "body": {"text": "${token}"}},
    ],
    ids=["header", "query", "json", "form", "text"],
)
async def test_what_was_got_with_a_secret_goes_only_where_the_secret_may(
    second: dict[str, Any], target: HttpTarget
) -> None:
    async with Login() as login:
        save = {"token": {"json": "$.token", "secret": False}}
        sign_in = {"url": on(HERE, login), "method": "POST", "body": {"form": {"password": SECRET}}, "save": save}
        denied = await run_check(steps(sign_in, {"url": on(ELSEWHERE, target), **second}))
        assert (denied.error, target.connections) == (ErrorClass.TARGET_DENIED, 0)
        assert "what was obtained with the secret team may go to 127.0.0.1" in denied.message
        assert (await run_check(steps(sign_in, {"url": on(HERE, target), **second}))).error is None


async def test_what_a_session_gives_that_began_with_a_secret_goes_only_where_the_secret_may(target: HttpTarget) -> None:
    async with Login() as login:
        sign_in = {"url": on(HERE, login), "headers": {"X-A": SECRET}}
        look = {"url": on(HERE, login), "save": {"token": {"json": "$.token"}}}
        observed = await run_check(steps(sign_in, look, {"url": on(ELSEWHERE, target, "/${token}")}))
    assert (observed.error, target.connections) == (ErrorClass.TARGET_DENIED, 0)


async def test_the_session_that_began_with_a_secret_goes_only_where_the_secret_may(target: HttpTarget) -> None:
    class Session(HttpServer):
        def answer(self, request: Request) -> Answer:
            return Answer(headers={"set-cookie": "sid=s3ssion; Path=/"})

    async with Session() as login:
        bindings = bound(team=[f"{HERE}:{login.port}"])
        sign_in = {"url": on(HERE, login), "headers": {"X-A": SECRET}}
        assert (await run_check(steps(sign_in, {"url": "/account"}), bindings)).error is None
        assert login.requests[-1].headers["cookie"] == "sid=s3ssion"
        stolen = await run_check(steps(sign_in, {"url": on(HERE, target)}), bindings)
        other = await run_check(steps(sign_in, {"url": on(ELSEWHERE, target)}), bindings)
    assert (stolen.error, target.connections) == (ErrorClass.TARGET_DENIED, 1)
    # The cookie does not go there.
    assert (other.error, "cookie" in target.last.headers) == (None, False)


async def test_other_headers_follow_a_redirect(target: HttpTarget) -> None:
    target.on("/", 302, headers={"location": on(ELSEWHERE, target, "/file")})
    async with Login() as login:
        sign_in = {"url": on(HERE, login), "headers": {"X-A": SECRET}, "save": {"token": {"json": "$.token"}}}
        headers = {"X-B": "id=${token}", "Accept": "application/pdf"}
        observed = await run_check(steps(sign_in, {"url": on(HERE, target), "headers": headers}))
    assert observed.error is None, observed.message
    assert (target.last.path, target.last.headers["accept"]) == ("/file", "application/pdf")
    assert "x-b" not in target.last.headers


async def test_what_was_got_with_a_secret_does_not_follow_a_redirect(target: HttpTarget) -> None:
    target.on("/", 302, headers={"location": on(ELSEWHERE, target, "/stolen")})
    async with Login() as login:
        sign_in = {"url": on(HERE, login), "headers": {"X-A": SECRET}, "save": {"token": {"json": "$.token"}}}
        await run_check(steps(sign_in, {"url": on(HERE, target), "headers": {"X-B": "${token}"}}))
        assert (target.last.path, "x-b" in target.last.headers) == ("/stolen", False)
        body = {"method": "PUT", "body": {"json": {"a": "${token}"}}}
        target.on("/", 307, headers={"location": on(ELSEWHERE, target, "/stolen-again")})
        observed = await run_check(steps(sign_in, {"url": on(HERE, target), **body}))
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert target.last.path == "/"


async def test_values_that_no_secret_had_a_part_in_go_anywhere(target: HttpTarget) -> None:
    async with Login() as login:
        look = {"url": on(HERE, login), "save": {"token": {"json": "$.token"}}}
        observed = await run_check(steps(look, {"url": on(ELSEWHERE, target), "headers": {"X-A": "${token}"}}))
    assert observed.error is None, observed.message
