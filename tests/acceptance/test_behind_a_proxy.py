"""Everything that the program sends, where a proxy is the only way out: nobody on this machine resolves the names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import httpx
import pytest
import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import HttpRequest
from urllib3.exceptions import HTTPError

from config.azure_clients import OutboundTransport
from config.identity import AppIdentity
from config.outbound import build_outbound
from config.settings.loading import load_settings
from config.settings.model import Settings
from jobs.checks.clock import PhaseClock
from jobs.checks.port import AttemptContext
from jobs.notifications.port import SendFailed
from jobs.redaction import Redactor
from jobs.running.clocks import SystemClock
from jobs.runs import ErrorClass, Observation
from jobs.targets import HttpTarget as HttpCheckTarget
from observability.exporters.bounded_urllib3 import open_bounded_session
from observability.exporters.datadog import DatadogClient
from observability.exporters.otlp_sdk import OtlpClient
from scheduler.alerting.delivery.channel_resources import GuardedChannelResources
from scheduler.app.authentication_setup import _build_entra
from scheduler.app.check_setup import open_checks
from scheduler.authentication.entra import RoleMap
from scheduler.authentication.port import AuthenticationUnavailable
from scheduler.health import HealthReport, HealthStatus, PartHealth
from scheduler.watchdog.self_watch import SelfWatch
from tests.parts import bad_servers
from tests.parts.azure_identity import ManagedIdentityServer
from tests.parts.http_server import HttpServer
from tests.parts.http_target import HttpTarget
from tests.parts.notifications import make_channel, message
from tests.parts.openid_provider import AUDIENCE, TENANT, OpenIdProvider
from tests.parts.proxy import Proxy
from tests.parts.tls import OUTSIDE, ca_file
from tests.project import ROOT

PASSWORD = "pr0xy-pa55word"

Way = Callable[[Settings, str], Awaitable[str]]
"""Lets a part of the program send a request to an address. Returns what it reports: empty if all is well."""


def settings_for(proxy_url: str, **more: str) -> Settings:
    """Return settings with this proxy, as they come from variables."""
    variables = {
        "PROXY": proxy_url,
        "PROXY_USER": "scheduler",
        "PROXY_PASSWORD": PASSWORD,
        "CA_FILE": ca_file(),
        **more,
    }
    environ = {f"SCHEDULER_OUTBOUND__{name}": value for name, value in variables.items()}
    return load_settings({"SCHEDULER_ENVIRONMENT": "prod", **environ}, root=ROOT).settings


class _Secrets:
    def __init__(self, url: str) -> None:
        self.url = url

    async def get_secret(self, name: str) -> str:
        return self.url


async def send_message(settings: Settings, url: str) -> str:
    from config.check_rules import build_guard

    secrets = cast(Any, _Secrets(url))
    resources = GuardedChannelResources(secrets, secrets, build_guard(settings, {}), build_outbound(settings))
    try:
        await make_channel(kind="webhook", url={"secret": "hook"}).create_sender(resources).send(message(), None)
    except SendFailed as error:
        return str(error)
    finally:
        await resources.close()
    return ""


async def send_to_collector(settings: Settings, url: str) -> str:
    def send() -> str:
        client = OtlpClient({}, None, "1", build_outbound(settings))
        try:
            client.export(f"{url}/v1/logs", b"", 5.0)
        except (httpx.HTTPError, OSError) as error:
            return str(error)
        finally:
            client.close()
        return ""

    return await asyncio.to_thread(send)


async def send_to_datadog(settings: Settings, url: str) -> str:
    client = await asyncio.to_thread(DatadogClient, "k" * 32, "datadoghq.com", url, build_outbound(settings))
    try:
        await asyncio.to_thread(client.submit, "logs", [{"message": "a"}], 5.0)
    except (HTTPError, OSError) as error:
        return str(error)
    finally:
        client.close()
    return ""


async def send_to_application_insights(settings: Settings, url: str) -> str:
    with open_bounded_session(1000, build_outbound(settings)) as session:
        try:
            await asyncio.to_thread(session.post, url, timeout=5.0)
        except (requests.RequestException, HTTPError) as error:
            return str(error)
    return ""


async def read_storage(settings: Settings, url: str) -> str:
    async with OutboundTransport(build_outbound(settings)) as transport:
        try:
            await transport.send(HttpRequest("GET", f"{url}/"))
        except AzureError as error:
            return str(error)
    return ""


async def observe(settings: Settings, url: str, *, times: int = 1, **more: Any) -> Observation:
    """Return the last observation."""
    async with AsyncExitStack() as stack:
        identity = AppIdentity(settings)
        stack.push_async_callback(identity.aclose)
        parts = open_checks(settings, (), identity, Redactor(), SystemClock(), stack)
        target = HttpCheckTarget.model_validate({"url": url, **more})
        for _ in range(times):
            call = AttemptContext("run", 1, PhaseClock())
            try:
                seen = await parts.checks["http"].observe(target, call)
            finally:
                call.values.close()
        return seen


async def check(settings: Settings, url: str) -> str:
    seen = await observe(settings, url)
    return seen.message or ("" if seen.status == 200 else f"status {seen.status}")


async def watch_itself(settings: Settings, url: str) -> str:
    async def report() -> HealthReport:
        return HealthReport(HealthStatus.OK, (PartHealth("store", HealthStatus.OK),))

    async with AsyncExitStack() as stack:
        identity = AppIdentity(settings)
        stack.push_async_callback(identity.aclose)
        parts = open_checks(settings, (), identity, Redactor(), SystemClock(), stack)
        watch = SelfWatch(url, 60.0, lambda: parts.checks["http"], report, SystemClock())
        await watch.tick()
        return (await watch.probe())[0].message


async def sign_in(settings: Settings, url: str) -> str:
    entra = settings.http.entra.model_copy(update={"tenant": TENANT, "audience": (AUDIENCE,), "authority": url})
    http = settings.http.model_copy(update={"entra": entra})
    tokens = _build_entra(settings.model_copy(update={"http": http}), RoleMap({}), SystemClock())
    assert tokens is not None
    try:
        await tokens._keys.find("key-0")
    except AuthenticationUnavailable:
        return tokens._keys._error
    return ""


WAYS: dict[str, Way] = {
    "message": send_message,
    "OTLP": send_to_collector,
    "Datadog": send_to_datadog,
    "Application Insights": send_to_application_insights,
    "storage": read_storage,
    "check": check,
    "self-watch": watch_itself,
    "sign-in": sign_in,
}


def open_service(way: str, **options: Any) -> HttpServer:
    if way == "sign-in":
        return OpenIdProvider(**options)
    server = HttpTarget(**options)
    for path in ("/", "/v1/logs", "/api/v2/logs"):
        server.on(path, body={})
    return server


@pytest.mark.parametrize("way", WAYS)
async def test_a_request_leaves_through_a_tunnel_of_the_proxy(way: str) -> None:
    credentials = f"scheduler:{PASSWORD}"
    async with open_service(way, tls="outside") as service, Proxy(credentials=credentials) as proxy:
        problem = await WAYS[way](settings_for(proxy.url), f"https://{OUTSIDE}:{service.port}")
    assert (problem, len(service.requests)) == ("", 1)
    assert proxy.requests[-1].startswith(f"CONNECT {OUTSIDE}:{service.port} HTTP/1.")
    assert "proxy-authorization" not in service.requests[0].headers


@pytest.mark.parametrize("way", WAYS.keys() - {"sign-in"})
async def test_a_plain_request_leaves_through_the_proxy_by_its_whole_url(way: str) -> None:
    async with open_service(way) as service, Proxy(credentials=f"scheduler:{PASSWORD}") as proxy:
        problem = await WAYS[way](settings_for(proxy.url), f"http://{OUTSIDE}:{service.port}")
    assert (problem, len(service.requests)) == ("", 1)
    assert f" http://{OUTSIDE}:{service.port}/" in proxy.requests[-1].partition("\r\n")[0]


@pytest.mark.parametrize("way", WAYS)
async def test_what_no_proxy_names_does_not_go_to_the_proxy(way: str) -> None:
    async with open_service(way, tls="good") as service, Proxy() as proxy:
        settings = settings_for(proxy.url, NO_PROXY=".invalid")
        problem = await WAYS[way](settings, f"https://{OUTSIDE}:{service.port}")
    assert problem
    assert (proxy.requests, service.requests) == ([], [])


@pytest.mark.parametrize("way", WAYS)
async def test_a_proxy_that_refuses_the_credentials_is_named_and_they_are_not(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Proxy(credentials="other:password") as proxy:
        problem = await WAYS[way](settings_for(proxy.url), f"https://{OUTSIDE}:443")
        plain = "" if way == "sign-in" else await WAYS[way](settings_for(proxy.url), f"http://{OUTSIDE}:80")
    for text in filter(None, (problem, plain)):
        assert f"127.0.0.1:{proxy.port}" in text
        assert "407" in text
        assert "outbound.proxy_password" in text
    assert problem
    assert PASSWORD not in f"{problem}{plain}{caplog.text}"


async def test_a_proxy_that_refuses_a_plain_request_is_named_as_the_one_that_refused() -> None:
    async with Proxy(credentials="other:password") as proxy:
        seen = await observe(settings_for(proxy.url), f"http://{OUTSIDE}:80/")
    assert (seen.error, seen.message) == (
        ErrorClass.CONNECTION_FAILED,
        f"The proxy 127.0.0.1:{proxy.port} refused the request before it reached {OUTSIDE}:80: it answered 407, so it "
        "requires authentication: check the settings outbound.proxy_user and outbound.proxy_password.",
    )


@pytest.mark.parametrize("way", WAYS)
async def test_a_proxy_that_is_down_is_named(way: str) -> None:
    async with bad_servers.refused_port() as nobody:
        problem = await WAYS[way](settings_for(f"http://127.0.0.1:{nobody.port}"), f"https://{OUTSIDE}:443")
    assert f"127.0.0.1:{nobody.port}" in problem
    assert "proxy" in problem


async def test_a_job_may_refuse_the_proxy() -> None:
    async with HttpTarget() as service, Proxy() as proxy:
        seen = await observe(settings_for(proxy.url), f"http://{OUTSIDE}:{service.port}/", proxy="none")
    assert (seen.error, proxy.requests) == (ErrorClass.DNS_FAILURE, [])


async def test_a_job_that_refuses_the_proxy_never_uses_it_for_the_requests_after_the_first() -> None:
    async with HttpTarget() as service, Proxy() as proxy:
        seen = await observe(settings_for(proxy.url), f"http://{OUTSIDE}:{service.port}/", proxy="none", times=3)
    assert (seen.error, proxy.requests) == (ErrorClass.DNS_FAILURE, [])


async def test_a_job_may_name_another_proxy() -> None:
    async with HttpTarget() as service, Proxy() as proxy, Proxy() as other:
        settings = settings_for(proxy.url)
        seen = await observe(settings, f"http://{OUTSIDE}:{service.port}/", proxy=f"http://localhost:{other.port}")
    assert (seen.error, proxy.requests, other.requests) == (ErrorClass.TARGET_DENIED, [], [])


async def test_tokens_of_the_platform_are_never_requested_from_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ManagedIdentityServer() as server, Proxy() as proxy:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        identity = AppIdentity(settings_for(proxy.url))
        assert await identity.get_token("api://checkout/.default") == server.token("api://checkout")
        await identity.aclose()
    assert proxy.requests == []


async def test_the_variables_of_the_environment_do_not_change_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpTarget() as service, Proxy() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        settings = load_settings({"SCHEDULER_TARGETS__NETWORKS": "127.0.0.1"}, root=ROOT).settings
        assert await check(settings, f"{service.url}/") == ""
    assert proxy.requests == []
