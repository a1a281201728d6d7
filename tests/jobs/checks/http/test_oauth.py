"""Tokens for a client's id and secret: asked once, kept, renewed, and what is said when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.checks.clock import PhaseClock
from jobs.checks.guard import Guard, TargetRules
from jobs.checks.http import oauth
from jobs.checks.kinds.steps import StepsCheck
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.ports import CredentialRefresh
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.runner import Runner
from jobs.runs import ErrorClass, Observation, Outcome
from jobs.targets import HttpTarget as Target
from jobs.targets import StepsTarget
from tests.config.clock import ManualClock
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check, wait_until
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import TICKET, Heard
from tests.parts.http_server import Answer
from tests.parts.http_target import HttpTarget
from tests.parts.proxy import Proxy
from tests.parts.token_endpoint import TokenEndpoint

NO_JSON = "it answered 200 with something that is not a JSON object: check token_url"

SECRETS = {"client": "cl1ent-secret", "id": "probe"}


@pytest.fixture
async def endpoint() -> AsyncIterator[TokenEndpoint]:
    async with TokenEndpoint() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def run_check(clock: ManualClock) -> AsyncIterator[HttpCheckDriver]:
    async with open_http_check(dict(SECRETS), clock=clock) as ready:
        yield ready


def auth(endpoint: TokenEndpoint | str, **more: Any) -> dict[str, Any]:
    url = endpoint if isinstance(endpoint, str) else f"{endpoint.url}/token"
    requested = {"kind": "oauth2", "token_url": url, "client_id": "probe", "client_secret": {"secret": "client"}}
    return {**requested, **more}


def sent(target: HttpTarget) -> list[str]:
    """The credentials that the target saw."""
    return [request.headers["authorization"] for request in target.requests]


def message(endpoint: TokenEndpoint, reason: str) -> str:
    return f"No access token from {endpoint.url}/token: {reason}."


async def failed(run_check: HttpCheckDriver, target: HttpTarget, **more: Any) -> str:
    """The sentence of a run for which there is no token."""
    observed = await run_check(target.url, **more)
    assert observed.error is ErrorClass.TOKEN_UNAVAILABLE
    assert target.requests == []
    return observed.message


# --- the token request ---


async def test_the_target_gets_the_token(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    observed = await run_check(target.url, auth=auth(endpoint))
    assert (observed.status, sent(target)) == (200, ["Bearer token-1"])
    assert endpoint.forms == [{"grant_type": "client_credentials"}]
    assert endpoint.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


async def test_the_form_has_scope_and_audience(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    await run_check(
        target.url, auth=auth(endpoint, scope="orders:read orders/write", audience="https://shop.internal/")
    )
    assert endpoint.forms[0] == {
        "grant_type": "client_credentials",
        "scope": "orders:read orders/write",
        "audience": "https://shop.internal/",
    }


async def test_id_and_secret_may_stand_in_the_body(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    await run_check(target.url, auth=auth(endpoint, style="body", client_id={"secret": "id"}))
    assert endpoint.forms[0] == {
        "grant_type": "client_credentials",
        "client_id": "probe",
        "client_secret": "cl1ent-secret",
    }
    assert "authorization" not in endpoint.requests[0].headers
    assert sent(target) == ["Bearer token-1"]


@pytest.mark.parametrize("style", ["header", "body"])
async def test_odd_characters_of_id_and_secret_arrive(endpoint: TokenEndpoint, target: HttpTarget, style: str) -> None:
    endpoint.clients = {"urn:probe é": "a:b&c=d+e f%20%é"}
    async with open_http_check({"client": "a:b&c=d+e f%20%é"}) as run_check:
        await run_check(target.url, auth=auth(endpoint, client_id="urn:probe é", style=style))
    assert sent(target) == ["Bearer token-1"]


async def test_the_endpoints_certificate_is_checked_as_the_targets(target: HttpTarget) -> None:
    async with TokenEndpoint(tls="good") as endpoint, open_http_check(SECRETS) as run_check:
        assert "signed by an authority that is not trusted" in await failed(run_check, target, auth=auth(endpoint))
        await run_check(target.url, auth=auth(endpoint), tls={"ca_file": endpoint.ca_file})
        assert sent(target) == ["Bearer token-1"]


async def test_the_endpoint_is_queried_by_way_of_the_targets_proxy(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    async with Proxy() as proxy:
        await run_check(target.url, auth=auth(endpoint), proxy=proxy.url)
    assert [line.partition(" HTTP")[0] for line in proxy.requests] == [
        f"POST {endpoint.url}/token",
        f"GET {target.url}/",
    ]
    assert sent(target) == ["Bearer token-1"]


async def test_a_proxy_that_is_down_is_the_one_that_is_named(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    async with Proxy() as proxy:
        pass
    reported = await failed(run_check, target, auth=auth(endpoint), proxy=proxy.url)
    assert reported.startswith(message(endpoint, f"127.0.0.1:{proxy.port} refused the connection: nothing")[:-1])


async def test_a_client_certificate_that_is_none_is_blamed_on_its_secret(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    url = endpoint.url.replace("http:", "https:") + "/token"
    observed = await run_check(target.url, auth=auth(url), tls={"client_certificate": {"secret": "id"}})
    assert observed.error is ErrorClass.SECRET_UNAVAILABLE
    assert observed.message.startswith("The secret id contains no usable client certificate")


async def test_tokens_are_never_shown(run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget) -> None:
    await run_check(target.url, auth=auth(endpoint))
    header = endpoint.requests[0].headers["authorization"].partition(" ")[2]
    assert run_check.redactor.redact(f"token-1 {header} cl1ent-secret") == "*** *** ***"


async def test_the_token_is_abandoned_at_another_origin(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    async with HttpTarget() as other:
        target.on("/", 302, headers={"Location": f"{other.url}/there"})
        await run_check(target.url, auth=auth(endpoint))
        assert "authorization" not in other.last.headers


async def test_waiting_for_the_token_is_the_phase_token(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    endpoint.delay = 0.5
    clock = await run_check.run_until_phase("token", target.url, auth=auth(endpoint))
    assert clock.current == "token"
    await wait_until(lambda: endpoint.given == ["token-1"])


# --- keeping it ---


async def test_thirty_runs_at_once_make_one_token_request(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    endpoint.delay = 0.02
    await asyncio.gather(*(run_check(target.url, auth=auth(endpoint)) for _ in range(30)))
    assert sent(target) == ["Bearer token-1"] * 30
    assert len(endpoint.requests) == 1


async def test_runs_whose_attempt_is_over_leave_the_request_to_the_next(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    endpoint.delay = 0.3
    await run_check.run_until_phase("token", target.url, auth=auth(endpoint))
    await run_check(target.url, auth=auth(endpoint))
    assert (sent(target), len(endpoint.requests)) == (["Bearer token-1"], 1)


@pytest.mark.parametrize(
    ("lives", "stored"),
    [(60, 47.9), ("60", 47.9), (36_000, 35_699), (None, 239), ("soon", 239), (-1, 239), (1e400, 86_099)],
)
async def test_a_token_is_retained_until_shortly_before_its_end(
    run_check: HttpCheckDriver,
    endpoint: TokenEndpoint,
    target: HttpTarget,
    clock: ManualClock,
    lives: Any,
    stored: float,
) -> None:
    endpoint.lives = lives
    for passed in (0, stored, stored + 1.1):
        clock.passed = passed
        await run_check(target.url, auth=auth(endpoint))
    assert sent(target) == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_a_token_is_used_on_while_the_endpoint_is_unavailable(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget, clock: ManualClock
) -> None:
    endpoint.lives = 100
    await run_check(target.url, auth=auth(endpoint))
    endpoint.instead = Answer(503)
    clock.passed = 90
    assert (await run_check(target.url, auth=auth(endpoint))).status == 200
    clock.passed = 110
    assert (await run_check(target.url, auth=auth(endpoint))).error is ErrorClass.TOKEN_UNAVAILABLE


async def test_each_scope_has_a_token_of_its_own(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    for scope in ("a", "b", "a"):
        await run_check(target.url, auth=auth(endpoint, scope=scope))
    assert sent(target) == ["Bearer token-1", "Bearer token-2", "Bearer token-1"]


async def test_a_failure_is_remembered_for_some_seconds(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget, clock: ManualClock
) -> None:
    endpoint.instead = Answer(503)
    for _ in range(3):
        await failed(run_check, target, auth=auth(endpoint))
    assert len(endpoint.requests) == 1
    endpoint.instead, clock.passed = None, 16
    assert (await run_check(target.url, auth=auth(endpoint))).status == 200


async def test_tokens_that_no_one_used_for_long_are_released(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "MAX_CACHED_TOKENS", 2)
    for scope in ("a", "b", "c", "b", "a"):
        await run_check(target.url, auth=auth(endpoint, scope=scope))
    assert sent(target)[3:] == ["Bearer token-2", "Bearer token-4"]


async def test_a_renewed_token_takes_the_place_of_the_former_one_in_the_redactor(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget, clock: ManualClock
) -> None:
    held = []
    for _ in range(5):
        call = AttemptContext("job@1", 1, PhaseClock())
        await run_check.check.observe(Target.model_validate({"url": target.url, "auth": auth(endpoint)}), call)
        call.values.close()
        held.append(run_check.redactor.held_count)
        await clock.sleep(7200)
    assert len(set(sent(target))) == 5
    assert len(set(held)) == 1


# --- another one ---


async def refused(
    run_check: HttpCheckDriver, target: HttpTarget, endpoint: TokenEndpoint
) -> tuple[Observation, list[CredentialRefresh]]:
    """One attempt, and what comes of looking for other credentials after it."""
    call = AttemptContext("job@1", 1, PhaseClock())
    requested = Target.model_validate({"url": target.url, "auth": auth(endpoint)})
    observed = await run_check.check.observe(requested, call)
    return observed, [await renewed() for renewed in call.credential_refreshes]


async def test_a_token_that_the_target_refuses_is_got_anew(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    target.sequence("/", 401, 200)
    _, (secret, token) = await refused(run_check, target, endpoint)
    assert not secret.is_changed
    assert token == CredentialRefresh(True, f"another access token from {endpoint.url}/token was fetched")
    await run_check(target.url, auth=auth(endpoint))
    assert sent(target) == ["Bearer token-1", "Bearer token-2"]


async def test_a_second_refusal_right_after_it_requests_no_third_token(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    target.on("/", 401)
    await refused(run_check, target, endpoint)
    _, (_, token) = await refused(run_check, target, endpoint)
    assert token == CredentialRefresh(
        False, f"the access token from {endpoint.url}/token is still the one fetched at 2026-01-01 00:00:00Z"
    )
    assert len(endpoint.requests) == 2


async def test_a_rotated_client_secret_is_searched_when_the_endpoint_refuses_the_old_one(
    endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    endpoint.clients["probe"] = "n3w-secret"
    async with open_http_check(dict(SECRETS)) as run_check:
        reads = iter(["cl1ent-secret", "n3w-secret"])

        async def get(_: str) -> str:
            return next(reads)

        run_check.secrets.get_secret = get  # type: ignore[method-assign]
        run_check.secrets.values = {"client": "n3w-secret"}
        await run_check(target.url, auth=auth(endpoint))
        assert run_check.redactor.redact("n3w-secret") == "***"
    assert sent(target) == ["Bearer token-1"]


async def test_a_token_of_the_new_client_secret_takes_the_place_of_the_old_one(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    await run_check(target.url, auth=auth(endpoint))
    endpoint.clients["probe"] = "n3w-secret"
    run_check.secrets.values = {"client": "n3w-secret"}
    await run_check(target.url, auth=auth(endpoint))
    assert sent(target) == ["Bearer token-1", "Bearer token-2"]


async def test_a_run_is_repeated_at_once_with_another_token(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    target.sequence("/", 401, 200)
    job = JobDefinition.model_validate({"name": "job", "check": {"url": target.url, "auth": auth(endpoint)}})
    runner = Runner(
        {"http": run_check.check}, CircuitBreakers(MemoryStates()), Heard(), SystemClock(), run_check.redactor
    )
    run = await runner.run(job, TICKET)
    assert run.outcome is Outcome.SUCCEEDED
    assert [attempt.status for attempt in run.attempts] == [401, 200]
    assert f"another access token from {endpoint.url}/token was fetched" in run.attempts[0].message


async def test_the_steps_of_a_check_share_a_token(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    steps = [{"name": name, "url": f"{target.url}/{name}", "auth": auth(endpoint)} for name in ("one", "two")]
    check = StepsCheck(run_check.check, run_check.redactor)
    observed = await check.observe(
        StepsTarget.model_validate({"kind": "steps", "steps": steps}), AttemptContext("job@1", 1, PhaseClock())
    )
    assert observed.error is None
    assert (sent(target), len(endpoint.requests)) == (["Bearer token-1"] * 2, 1)


# --- what is said when there is none ---


async def test_a_wrong_secret_is_reported_without_it(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    endpoint.clients = {}
    assert await failed(run_check, target, auth=auth(endpoint)) == message(
        endpoint,
        "it answered 401 invalid_client (AADSTS7000215); it does not know the client, or not with this secret: "
        "check client_id and client_secret; client was looked at again",
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            Answer.of_json({"error": "invalid_scope", "error_description": "cl1ent"}, 400),
            "it answered 400 invalid_scope; check scope, and the permissions of the client",
        ),
        (Answer.of_json({"error": "slow_down"}, 400), "it answered 400 slow_down"),
        (
            Answer.of_json({"error": "unauthorized_client"}, 200),
            "it answered 200 unauthorized_client; the client is not allowed to use client "
            "credentials: allow that grant",
        ),
        (
            Answer.of_json({"error": "cl1ent-secr"}, 400),
            "it answered 400 without an error code of OAuth 2: check token_url",
        ),
        (
            Answer(404, body=b"<html>"),
            "it answered 404 without an error code of OAuth 2: check token_url",
        ),
        (
            Answer(503, body=b"[]"),
            "it answered 503 without an error code of OAuth 2: it is down or overloaded",
        ),
        (
            Answer(302, {"location": "https://elsewhere.example/"}),
            "it answered 302: a redirect, to which the client's secret is not sent; set token_url to the final URL",
        ),
        (
            Answer(body=b"<html>sign in</html>"),
            NO_JSON,
        ),
        (Answer(body=b"[" * 60_000), NO_JSON),
        (Answer.of_json({}), "it answered 200 without an access_token that a header can carry"),
        (
            Answer.of_json({"access_token": "a\r\nX-Evil: 1"}),
            "it answered 200 without an access_token that a header can carry",
        ),
        (
            Answer.of_json({"access_token": "abcdef", "token_type": "MAC"}),
            "its token is of the type mac, and only Bearer can be used",
        ),
        (Answer(body=b" " * 70_000), "its answer has more than 64 KiB: check token_url"),
    ],
)
async def test_an_answer_without_a_token_is_reported(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget, answer: Answer, reason: str
) -> None:
    endpoint.instead = answer
    assert await failed(run_check, target, auth=auth(endpoint)) == message(endpoint, reason)


async def test_a_reset_is_reported(run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget) -> None:
    endpoint.instead = Answer(reset=True)
    assert "reset the connection before its response" in await failed(run_check, target, auth=auth(endpoint))


async def test_a_refused_connection_is_reported_without_the_query(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget
) -> None:
    await endpoint.__aexit__()
    reported = await failed(run_check, target, auth=auth(f"{endpoint.url}/token?p=policy"))
    assert reported.startswith(message(endpoint, f"127.0.0.1:{endpoint.port} refused the connection: nothing")[:-1])


async def test_a_silent_endpoint_is_reported(
    run_check: HttpCheckDriver, endpoint: TokenEndpoint, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "TOKEN_FETCH_TIMEOUT", 0.05)
    endpoint.instead = Answer(delay=5)
    assert await failed(run_check, target, auth=auth(endpoint)) == message(endpoint, "no answer within 0.05 s")


async def test_the_guard_is_queried_about_the_endpoint(target: HttpTarget) -> None:
    async with open_http_check(SECRETS) as run_check:
        reported = await failed(run_check, target, auth=auth("http://169.254.169.254/metadata/identity/oauth2/token"))
    assert "Not sent: 169.254.169.254 is" in reported


async def test_the_endpoints_scheme_is_checked(target: HttpTarget) -> None:
    guard = Guard(TargetRules(schemes=frozenset({"https"})))
    async with open_http_check(SECRETS, guard=guard) as run_check:
        reported = await failed(run_check, target, auth=auth("http://login.example/token"))
    assert "uses the scheme http, which is not allowed" in reported


# --- the definition ---


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_url": "ftp://login.example/token"},
        {"token_url": "login.example/token"},
        {"token_url": "https://login.example/token#here"},
        {"token_url": "https://user:pass@login.example/token"},
        {"client_secret": "written-in-the-file"},
        {"scope": "two  blanks"},
        {"scope": 'with "quotes"'},
        {"audience": ""},
        {"style": "query"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate({"url": "https://shop.internal/", "auth": auth("https://login.example/token", **wrong)})
