"""No spelling, no redirect and no answer of the DNS leads a check to where it may not connect."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.checks import Checks
from jobs.checks.clock import PhaseClock
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.errors import TargetDenied
from jobs.checks.guard import Guard, TargetRules
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets import HttpTarget as HttpTargetModel
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens, open_http_check
from tests.parts.bad_servers import endless_body
from tests.parts.http_target import HttpTarget
from tests.parts.network_guard import NetworkGuard

PRODUCTION = Guard(TargetRules())


def naming(*networks: str, **rules: Any) -> Guard:
    return Guard(TargetRules(networks=tuple(map(ip_network, networks)), **rules))


async def observed_by(guard: Guard, url: str, **target: Any) -> Observation:
    async with open_http_check(guard=guard) as run_check:
        return await run_check(url, **target)


# --- how an address can be written ---

NEEDS_A_NETWORK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "017700000001",
    "127.255.255.254",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "localhost",
    "LocalHost",
    "10.0.0.5",
    "10.5",
    "167772165",
    "0xa000005",
    "172.16.1",
    "192.168.257",
    "[::ffff:192.168.1.1]",
    "[fd12:3456::1]",
    "[fec0::1]",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "[2001:db8::1]",
    "[64:ff9b::10.0.0.5]",
    "[64:ff9b:1::8.8.8.8]",
    "[2002:a00:5::1]",
    "[2001:0:808:808::f7f7:f7f7]",
]
NEVER = [
    "169.254.169.254",
    "169.254.43518",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "025177524776",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[::ffff:0:169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:a9fe:a9:fe00::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:a9fe:a9fe::1]",
    "[2001:0:808:808::5601:5601]",
    "168.63.129.16",
    "168.63.33040",
    "2822734096",
    "0xa83f8110",
    "[::ffff:168.63.129.16]",
    "[64:ff9b::a83f:8110]",
    "[2002:a83f:8110::]",
    "192.0.0.192",
    "100.100.100.200",
    "0.0.0.0",
    "0",
    "0x0",
    "[::]",
    "[::ffff:0.0.0.0]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fd00:ec2::254]",
    "224.0.0.1",
    "[ff02::1]",
    "255.255.255.255",
    "240.0.0.1",
    "[4000::1]",
]


@pytest.mark.parametrize("host", NEEDS_A_NETWORK)
async def test_an_address_of_a_network_that_is_not_named_is_denied(host: str, network_guard: NetworkGuard) -> None:
    observed = await observed_by(PRODUCTION, f"http://{host}:8080/health")
    assert observed.error is ErrorClass.TARGET_DENIED, observed
    assert "add its network to the setting targets.networks" in observed.message
    assert "SCHEDULER_TARGETS__NETWORKS" in observed.message
    assert network_guard.connects == []


@pytest.mark.parametrize("host", NEVER)
async def test_what_no_one_may_request_is_denied_although_all_networks_are_named(
    host: str, network_guard: NetworkGuard
) -> None:
    observed = await observed_by(naming("0.0.0.0/0", "::/0"), f"http://{host}/metadata/instance")
    assert observed.error is ErrorClass.TARGET_DENIED, observed
    assert observed.message.endswith("No setting allows that.")
    assert network_guard.connects == []


ODD = [
    "0177.0.0.01",
    "0251.0376.0251.0376",
    "127.0.0.1.",
    "169.254.169.254.",
    "localhost.",
    "%31%32%37.0.0.1",
    "%3169.254.169.254",
    "\uff11\uff12\uff17.0.0.1",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "169｡254｡169｡254",
    "\uff4cocalhost",
    "[::1%25lo]",
    "[127.0.0.1]",
    "127.0.0.1%00.example",
    "10.9.9.9&@127.0.0.1",
    "10.9.9.9#@127.0.0.1",
    "example\\@127.0.0.1",
]
"""Clients differ in what they make of these; some take them for a name that the DNS does not know, or for none."""


@pytest.fixture
def numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that knows localhost and numbers, in every way of writing that the C library has."""
    lookup = socket.getaddrinfo

    def numeric(host: str, port: int, **options: Any) -> list[Any]:
        if "%" in host:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        name = "127.0.0.1" if host.rstrip(".") == "localhost" else host
        return lookup(name, port, **options, flags=socket.AI_NUMERICHOST)

    monkeypatch.setattr(socket, "getaddrinfo", numeric)


@pytest.mark.parametrize("host", ODD)
async def test_an_odd_spelling_in_a_job_leads_nowhere(
    host: str, numbers_alone: None, network_guard: NetworkGuard
) -> None:
    try:
        target = HttpTargetModel(url=f"http://{host}/")
    except ValidationError:
        return
    observed = await observed_by(PRODUCTION, target.url)
    assert observed.error in (ErrorClass.TARGET_DENIED, ErrorClass.DNS_FAILURE)
    assert network_guard.connects == []


@pytest.mark.parametrize("host", ODD)
async def test_an_odd_spelling_in_a_redirect_leads_nowhere(
    host: str, numbers_alone: None, target: HttpTarget, network_guard: NetworkGuard
) -> None:
    target.on("/", 302, headers={"location": f"http://{host}/token".encode().decode("latin-1")})
    # The port that the redirects lead to is closed for loopback, too.
    observed = await observed_by(naming("127.0.0.0/8", ports=((1024, 65535),)), target.url)
    assert observed.error in (ErrorClass.TARGET_DENIED, ErrorClass.DNS_FAILURE, ErrorClass.PROTOCOL_ERROR)
    assert network_guard.connects == [("127.0.0.1", target.port)]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "localhost", "[::ffff:127.0.0.1]"])
async def test_an_address_of_a_network_that_is_named_is_queried(host: str, target: HttpTarget) -> None:
    observed = await observed_by(naming("127.0.0.0/8", "::1/128"), f"http://{host}:{target.port}/")
    assert observed.status == 200, observed.message


# --- redirects ---


@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("host", ["127.2", "0x7f000002", "[::ffff:127.0.0.2]", "10.0.0.5", *NEVER[::2]])
async def test_a_redirect_to_where_no_one_may_connect_is_not_followed(
    host: str, status: int, target: HttpTarget, network_guard: NetworkGuard
) -> None:
    target.on("/", status, headers={"location": f"http://{host}/token"})
    observed = await observed_by(naming("127.0.0.1/32"), target.url)
    assert observed.error is ErrorClass.TARGET_DENIED
    assert observed.message.endswith(f"127.0.0.1:{target.port} redirected to it.")
    assert network_guard.connects == [("127.0.0.1", target.port)]


async def test_a_redirect_to_a_scheme_that_may_not_be_requested_is_not_followed(target: HttpTarget) -> None:
    async with HttpTarget(tls="good") as secure:
        secure.on("/", 302, headers={"location": target.url})
        guard = naming("127.0.0.0/8", schemes=frozenset({"https"}))
        observed = await observed_by(guard, secure.url, tls={"ca_file": secure.ca_file})
    assert observed.error is ErrorClass.TARGET_DENIED
    assert "uses the scheme http, which is not allowed" in observed.message
    assert "targets.schemes (SCHEDULER_TARGETS__SCHEMES)" in observed.message
    assert target.connections == 0


async def test_a_redirect_to_a_port_that_may_not_be_requested_is_not_followed(target: HttpTarget) -> None:
    async with HttpTarget() as other:
        target.on("/", 302, headers={"location": other.url})
        observed = await observed_by(naming("127.0.0.0/8", ports=((target.port, target.port),)), target.url)
    assert observed.error is ErrorClass.TARGET_DENIED
    assert f"port {other.port} of 127.0.0.1 is not an allowed port" in observed.message
    assert other.connections == 0


async def test_a_redirect_to_a_host_that_may_not_be_requested_is_not_followed(target: HttpTarget) -> None:
    target.on("/", 302, headers={"location": target.url.replace("127.0.0.1", "localhost")})
    observed = await observed_by(naming("127.0.0.0/8", hosts=("127.0.0.1",)), target.url)
    assert observed.error is ErrorClass.TARGET_DENIED
    assert "localhost is not an allowed host" in observed.message
    assert target.connections == 1


# --- what the DNS answers ---

Resolve = Callable[..., list[str]]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """`resolve(first, second)`: each look-up gives the next answer, the last one for ever; gives the names asked."""

    def answering(*answers: Iterable[str]) -> list[str]:
        requested: list[str] = []

        def lookup(host: str, port: int, **_: Any) -> list[Any]:
            answer = answers[min(len(requested), len(answers) - 1)]
            requested.append(host)
            families = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in answer]
            return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in families]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        return requested

    return answering


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "0.0.0.0",
        "fe80::1",
        "fd00:ec2::254",
        "64:ff9b::a9fe:a9fe",
    ],
)
@pytest.mark.parametrize("place", ["alone", "first", "last"])
async def test_a_name_with_an_address_that_no_one_may_request_is_denied_as_a_whole(
    address: str, place: str, target: HttpTarget, resolve: Resolve, network_guard: NetworkGuard
) -> None:
    good = "127.0.0.1"
    resolve({"alone": [address], "first": [address, good], "last": [good, address]}[place])
    observed = await observed_by(naming("127.0.0.0/8", "fd00::/8"), f"http://rebind.example:{target.port}/")
    assert observed.error is ErrorClass.TARGET_DENIED
    assert f"an address of rebind.example:{target.port}, is" in observed.message
    assert network_guard.connects == []


async def test_an_address_of_a_network_that_is_not_named_is_skipped_if_another_one_remains(
    target: HttpTarget, resolve: Resolve, network_guard: NetworkGuard
) -> None:
    resolve(["10.0.0.5", "127.0.0.1", "192.168.0.7"])
    observed = await observed_by(naming("127.0.0.0/8"), f"http://two.example:{target.port}/")
    assert observed.status == 200
    assert network_guard.connects == [("127.0.0.1", target.port)]


async def test_a_name_whose_addresses_are_all_of_networks_that_are_not_named_is_denied(resolve: Resolve) -> None:
    resolve(["10.0.0.5", "192.168.0.7"])
    observed = await observed_by(PRODUCTION, "http://db.internal/")
    assert observed.message == (
        "Not sent: 10.0.0.5, an address of db.internal:80, is a private address outside the allowed networks. "
        "To allow it, add its network to the setting targets.networks (SCHEDULER_TARGETS__NETWORKS)."
    )


async def test_a_name_is_resolved_once_a_connection_so_that_it_cannot_change_after_the_look(
    target: HttpTarget, resolve: Resolve, network_guard: NetworkGuard
) -> None:
    requested = resolve(["127.0.0.1"], ["169.254.169.254"])
    async with open_http_check(guard=naming("127.0.0.0/8")) as run_check:
        first = await run_check(f"http://rebind.example:{target.port}/")
        assert (first.status, requested) == (200, ["rebind.example"])
        second = await run_check(f"http://rebind.example:{target.port}/")
    assert second.error is ErrorClass.TARGET_DENIED
    assert network_guard.connects == [("127.0.0.1", target.port)]


async def test_a_name_that_changes_between_a_redirect_and_the_next_hop_is_denied(
    target: HttpTarget, resolve: Resolve, network_guard: NetworkGuard
) -> None:
    resolve(["127.0.0.1"], ["10.0.0.5"])
    target.on("/", 302, headers={"location": "/again"})
    observed = await observed_by(naming("127.0.0.0/8"), f"http://rebind.example:{target.port}/")
    assert observed.error is ErrorClass.TARGET_DENIED
    assert network_guard.connects == [("127.0.0.1", target.port)]


async def test_the_target_sees_the_name_although_a_checked_address_is_connected_to(
    target: HttpTarget, resolve: Resolve
) -> None:
    resolve(["127.0.0.1"])
    await observed_by(naming("127.0.0.0/8"), f"http://checkout.example:{target.port}/")
    assert target.last.headers["host"] == f"checkout.example:{target.port}"


async def test_the_certificate_is_checked_against_the_name_although_an_address_is_connected_to(
    resolve: Resolve,
) -> None:
    resolve(["127.0.0.1"])
    async with HttpTarget(tls="good") as secure:
        options = {"tls": {"ca_file": secure.ca_file}}
        good = await observed_by(naming("127.0.0.0/8"), f"https://localhost:{secure.port}/", **options)
        other = await observed_by(naming("127.0.0.0/8"), f"https://checkout.example:{secure.port}/", **options)
    assert (good.status, other.error) == (200, ErrorClass.TLS_CERTIFICATE)


async def test_a_host_that_may_not_be_requested_is_not_even_resolved(resolve: Resolve) -> None:
    requested = resolve(["127.0.0.1"])
    observed = await observed_by(naming("127.0.0.0/8", hosts=("*.internal",)), "http://checkout.example/")
    assert (observed.error, requested) == (ErrorClass.TARGET_DENIED, [])


# --- the identity endpoint ---


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("endpoint", ["http://localhost:{port}/msi/token", "http://127.0.0.1:{port}/token"])
async def test_where_tokens_are_handed_out_is_never_requested(host: str, endpoint: str, target: HttpTarget) -> None:
    guard = naming("127.0.0.0/8", identity_endpoints=(endpoint.format(port=target.port),))
    observed = await observed_by(guard, f"http://{host}:{target.port}/msi/token")
    assert observed.error is ErrorClass.TARGET_DENIED
    assert "is where the platform issues this app's tokens. No setting allows that." in observed.message
    assert target.connections == 0


async def test_other_ports_next_to_the_identity_endpoint_may_be_requested(target: HttpTarget) -> None:
    guard = naming("127.0.0.0/8", identity_endpoints=("http://localhost:1/token", "http://[", ""))
    assert (await observed_by(guard, target.url)).status == 200


# --- kinds other than http ---


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "::1", "::ffff:10.0.0.5", "169.254.169.254", "2852039166"])
@pytest.mark.parametrize("kind", ["tcp", "tls"])
async def test_every_kind_that_names_a_host_requests_the_guard(
    kind: str, host: str, network_guard: NetworkGuard
) -> None:
    observed = await observed_by_kind(PRODUCTION, {"kind": kind, "host": host, "port": 443})
    assert observed.error is ErrorClass.TARGET_DENIED
    assert network_guard.connects == []


@pytest.mark.parametrize("server", ["127.0.0.1", "::1", "10.0.0.4", "169.254.169.254", "168.63.129.16", "fe80::1"])
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_name_server_is_queried_only_where_the_guard_allows_it(
    protocol: str, server: str, network_guard: NetworkGuard
) -> None:
    target = {"kind": "dns", "name": "checkout.internal", "server": server, "protocol": protocol}
    observed = await observed_by_kind(PRODUCTION, target)
    assert observed.error is ErrorClass.TARGET_DENIED
    assert network_guard.connects == []


async def observed_by_kind(guard: Guard, target: dict[str, Any]) -> Observation:
    job = JobDefinition.model_validate({"name": "checkout", "check": target})
    checks = Checks(CheckDependencies(MemorySecrets(), MemoryTokens(), Redactor(), guard=guard))
    try:
        return await checks.observe(job.check, AttemptContext("checkout@1", 1, PhaseClock()))
    finally:
        await checks.aclose()


# --- the size of an answer ---


async def test_no_job_reads_more_of_an_answer_than_the_settings_allow() -> None:
    async with endless_body() as server:
        observed = await observed_by(naming("127.0.0.0/8", largest_body=5000), server.url, read_limit="1MiB")
    assert (len(observed.body), observed.body_truncated) == (5000, True)


# --- texts ---


async def test_an_address_inside_another_one_is_reported_with_both() -> None:
    observed = await observed_by(PRODUCTION, "http://[64:ff9b::a9fe:a9fe]/")
    assert observed.message.startswith("Not sent: 169.254.169.254 (in 64:ff9b::a9fe:a9fe) is a link-local address")


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("*.internal", "checkout.internal", True),
        ("*.internal", "a.b.INTERNAL.", True),
        ("*.internal", "internal", False),
        ("*.internal", "checkout.internal.example", False),
        ("*.internal", "checkoutXinternal", False),
        ("api-?.corp", "api-1.corp", True),
        ("api-?.corp", "api-10.corp", False),
        ("10.1.*", "10.1.2.3", True),
        ("*.bücher.example", "shop.xn--bcher-kva.example", True),
        ("Checkout.Example.", "checkout.example", True),
    ],
)
def test_hosts_are_compared_with_patterns(pattern: str, host: str, fits: bool) -> None:
    guard = naming("10.0.0.0/8", hosts=(pattern,))
    if fits:
        guard.check_endpoint(host, 80)
    else:
        with pytest.raises(TargetDenied, match=r"add it to the setting targets\.hosts \(SCHEDULER_TARGETS__HOSTS\)"):
            guard.check_endpoint(host, 80)
