"""No job asks the API of the program that runs it, by whatever address, name, kind, redirect or proxy."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from jobs.checks import addresses
from jobs.checks.addresses import OwnEndpoint, is_local_address
from jobs.checks.errors import TargetDenied
from jobs.checks.guard import Guard, TargetRules
from jobs.runs import ErrorClass
from scheduler.api import scopes
from tests.jobs.checks.guard.test_guard import Resolve, observed_by, observed_by_kind, resolve
from tests.jobs.checks.http_check import open_http_check
from tests.parts.http_target import HttpTarget
from tests.parts.network_guard import NetworkGuard

__all__ = ["resolve"]

ALL = tuple(map(ip_network, ("0.0.0.0/0", "::/0")))


def guard(port: int, host: str = "127.0.0.1", **rules: Any) -> Guard:
    return Guard(TargetRules(networks=ALL, own_endpoints=(OwnEndpoint(host, port),), **rules))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"])
async def test_its_own_port_on_loopback_is_never_requested(host: str, network_guard: NetworkGuard) -> None:
    observed = await observed_by(guard(7071), f"http://{host}:7071/api/jobs/checkout/pause", method="POST")
    assert observed.error is ErrorClass.TARGET_DENIED
    assert "serves this program's own API. No setting allows that." in observed.message
    assert network_guard.connects == []


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "::"])
def test_loopback_leads_to_it_wherever_it_listens_on_this_machine(listens_on: str) -> None:
    with pytest.raises(TargetDenied, match="own API"):
        guard(7071, listens_on).check_address("127.0.0.1", "127.0.0.1", 7071)


async def test_other_ports_may_be_requested(target: HttpTarget) -> None:
    assert (await observed_by(guard(1), target.url)).status == 200


async def test_a_name_that_leads_there_is_denied_when_it_is_resolved(
    target: HttpTarget, resolve: Resolve, network_guard: NetworkGuard
) -> None:
    resolve(["127.0.0.1"])
    observed = await observed_by(guard(target.port), f"http://rebind.example:{target.port}/")
    assert (observed.error, network_guard.connects) == (ErrorClass.TARGET_DENIED, [])


async def test_a_redirect_does_not_lead_there(target: HttpTarget) -> None:
    async with HttpTarget() as other:
        other.on("/", 307, headers={"location": f"{target.url}/api/jobs/checkout/pause"})
        observed = await observed_by(guard(target.port), other.url, method="POST")
    assert (observed.error, target.connections) == (ErrorClass.TARGET_DENIED, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", socket.gethostname()])
async def test_a_proxy_is_not_requested_to_go_there(host: str, target: HttpTarget) -> None:
    async with open_http_check(guard=guard(7071)) as run_check:
        observed = await run_check(f"http://{host}:7071/", proxy=target.url)
    assert (observed.error, target.connections) == (ErrorClass.TARGET_DENIED, 0)


@pytest.mark.parametrize("kind", ["tcp", "tls"])
async def test_other_kinds_do_not_request_it(kind: str, network_guard: NetworkGuard) -> None:
    observed = await observed_by_kind(guard(7071), {"kind": kind, "host": "localhost", "port": 7071})
    assert (observed.error, network_guard.connects) == (ErrorClass.TARGET_DENIED, [])


async def test_a_step_does_not_request_it(target: HttpTarget) -> None:
    target.on("/", 200, body=b"{}", headers={"location": "http://localhost:7071/api/jobs"})
    steps = [
        {"name": "one", "url": target.url, "save": {"next": {"header": "location"}}},
        {"name": "two", "url": "${next}"},
    ]
    observed = await observed_by_kind(guard(7071), {"kind": "steps", "steps": steps})
    assert observed.error is ErrorClass.TARGET_DENIED


def test_every_address_of_the_machine_leads_there_if_it_listens_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "is_local_address", lambda address: str(address) == "10.1.2.3")
    place = OwnEndpoint("0.0.0.0", 7071)
    assert place.matches_address(ip_address("10.1.2.3"), 7071)
    assert not place.matches_address(ip_address("10.1.2.4"), 7071)
    assert not place.matches_address(ip_address("10.1.2.3"), 7072)
    assert not OwnEndpoint("127.0.0.1", 7071).matches_address(ip_address("10.1.2.3"), 7071)
    assert OwnEndpoint("10.1.2.3", 7071).matches_address(ip_address("10.1.2.3"), 7071)
    assert not OwnEndpoint("10.1.2.3", 7071).matches_address(ip_address("127.0.0.1"), 7071)


def test_an_address_of_this_machine_is_reported_from_others() -> None:
    assert is_local_address(ip_address("127.0.0.1"))
    assert not is_local_address(ip_address("192.0.2.1"))
    assert not is_local_address(ip_address("2001:db8::1"))


@pytest.mark.parametrize("host", ["mine.azurewebsites.net", "MINE.azurewebsites.net.", "mine.azurewebsites.net:8443"])
async def test_the_name_of_its_own_site_is_never_requested(host: str, resolve: Resolve) -> None:
    requested = resolve(["20.50.2.1"])
    observed = await observed_by(guard(1, own_hosts=("mine.azurewebsites.net",)), f"https://{host}/api/jobs")
    assert (observed.error, requested) == (ErrorClass.TARGET_DENIED, [])
    assert "serves this program's own API" in observed.message


async def test_an_identity_endpoint_with_a_name_is_never_requested(resolve: Resolve) -> None:
    requested = resolve(["10.0.0.5"])
    observed = await observed_by(
        guard(1, identity_endpoints=("http://Tokens.internal:8081/",)), "http://tokens.internal:8081/"
    )
    assert (observed.error, requested) == (ErrorClass.TARGET_DENIED, [])
    assert "issues this app's tokens" in observed.message


# --- the one path that may be asked ---


def test_the_path_is_the_one_that_the_api_serves() -> None:
    assert addresses.LIVE_PATH == scopes.LIVE_PATH


@pytest.mark.parametrize("more", [{}, {"method": "HEAD"}, {"headers": {"X-A": "b"}}])
async def test_whether_the_process_answers_may_be_requested(more: dict[str, Any], target: HttpTarget) -> None:
    assert (await observed_by(guard(target.port), f"{target.url}/api/health/live", **more)).status == 200


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/api/health/live", {"method": "POST"}),
        ("/api/health/live", {"body": {"text": "a"}}),
        ("/api/health/live", {"query": {"a": "b"}}),
        ("/api/health/live", {"http2": True}),
        ("/api/health/live", {"connection": "kept"}),
        ("/api/health/live?a", {}),
        ("/api/health/live/", {}),
        ("/api/health/live/../../jobs", {}),
        ("/api/health/%6cive", {}),
        ("/api/health", {}),
    ],
)
async def test_nothing_else_may_be_requested(path: str, more: dict[str, Any], target: HttpTarget) -> None:
    observed = await observed_by(guard(target.port), f"{target.url}{path}", **more)
    assert (observed.error, target.connections) == (ErrorClass.TARGET_DENIED, 0)


async def test_from_there_no_redirect_leads_to_another_path(target: HttpTarget) -> None:
    target.on("/api/health/live", 302, headers={"location": "/api/jobs"})
    observed = await observed_by(guard(target.port), f"{target.url}/api/health/live")
    assert (observed.error, target.connections) == (ErrorClass.TARGET_DENIED, 1)


def test_validate_does_not_warn_of_it() -> None:
    assert guard(7071).explain_denial("http://127.0.0.1:7071/api/health/live") == ""
    assert guard(7071).explain_denial("http://127.0.0.1:7071/api/jobs") != ""
