"""Which connections use the proxy of the settings."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.outbound import DIRECT, NO_PROXY, Outbound, ProxyEndpoint, parse_no_proxy
from jobs.targets import HttpTarget


def outbound(*no_proxy: str) -> Outbound:
    return Outbound("proxy.example", 3128, direct=parse_no_proxy(no_proxy))


def is_direct(no_proxy: str, host: str, port: int = 443) -> bool:
    return outbound(*no_proxy.split(",")).find_proxy(host, port) is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "expected"),
    [
        ("corp.example", "corp.example", True),
        ("corp.example", "a.b.corp.example", True),
        ("corp.example", "badcorp.example", False),
        ("corp.example", "corp.example.com", False),
        ("Corp.Example.", "A.CORP.example.", True),
        (".corp.example", "a.corp.example", True),
        (".corp.example", "corp.example", False),
        ("*.corp.example", "a.corp.example", True),
        ("*.corp.example", "corp.example", False),
        ("*", "anything.example", True),
        ("10.0.0.0/8", "10.20.0.7", True),
        ("10.0.0.0/8", "11.20.0.7", False),
        ("10.0.0.0/8", "name-of-10.example", False),
        ("10.20.0.7", "10.20.0.7", True),
        ("10.20.0.7", "0x0a140007", True),
        ("10.20.0.7", "10.20.0.8", False),
        ("fd00::/8", "fd00::1", True),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("bücher.example", "xn--bcher-kva.example", True),
    ],
)
def test_an_entry_names_a_host_a_domain_or_a_network(no_proxy: str, host: str, expected: bool) -> None:
    assert is_direct(no_proxy, host) is expected


@pytest.mark.parametrize("entry", ["corp.example:8443", ".example:8443", "10.0.0.0/8:8443", "*:8443", "[fd00::1]:8443"])
def test_an_entry_with_a_port_names_this_port_alone(entry: str) -> None:
    host = {"[": "fd00::1", "1": "10.1.1.1"}.get(entry[0], "corp.example")
    assert (is_direct(entry, host, 8443), is_direct(entry, host, 443)) == (True, False)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "a.localhost",
        "127.0.0.1",
        "127.1",
        "::1",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "2852039166",
        "168.63.129.16",
        "fe80::1",
        "",
    ],
)
def test_this_machine_and_metadata_services_never_use_the_proxy(host: str) -> None:
    assert outbound().find_proxy(host, 80) is None


LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8).filter(
    lambda label: label[0].isalpha() and label[-1] != "-"
)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join((*labels, "example")))


@given(NAMES, NAMES, st.integers(1, 65535))
def test_a_name_includes_itself_and_what_is_below_it(name: str, host: str, port: int) -> None:
    expected = f".{host}".endswith(f".{name}")
    assert is_direct(name, host, port) is expected
    assert is_direct(f".{name}", host, port) is (expected and host != name)
    assert is_direct(name, f"{host}.{name}", port)
    assert is_direct(name.upper(), host, port) is expected


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_a_network_includes_its_addresses_and_no_name(address: int, length: int, other: int) -> None:
    network = ip_network((address, length), strict=False)
    host = IPv4Address(other)
    expected = host in network or outbound().find_proxy(str(host), 80) is None
    assert is_direct(str(network), str(host), 80) is expected
    assert not is_direct(str(network), "api.example", 80)


@given(st.lists(NAMES, max_size=3), NAMES)
def test_a_further_entry_only_adds_direct_connections(entries: list[str], host: str) -> None:
    without, full = outbound(*entries), outbound(*entries, ".example:80")
    assert full.find_proxy(host, 443) == without.find_proxy(host, 443)
    assert full.find_proxy(host, 80) is None


def test_a_job_has_precedence() -> None:
    way, own = outbound(), ProxyEndpoint("own.example", 8080)
    assert way.choose_proxy(None, "api.example", 443) == way.proxy
    assert way.choose_proxy(own, "api.example", 443) is own
    assert way.choose_proxy(NO_PROXY, "api.example", 443) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"proxy": "none"}, False),
        ({"proxy": "http://own.example:3128"}, False),
        ({"url": "http://10.1.1.1/"}, False),
    ],
)
def test_a_target_uses_it_unless_it_says_something_else(fields: dict[str, str], expected: bool) -> None:
    target = HttpTarget.model_validate({"url": "https://api.example/", **fields})
    assert outbound("10.0.0.0/8").uses_proxy(target) is expected
    assert not DIRECT.uses_proxy(target)


def test_no_text_of_it_has_the_password() -> None:
    way = Outbound("proxy.example", 3128, "user", "pa55word/x")
    assert way.proxy is not None
    assert "pa55word" not in f"{way!r}{way.proxy!r}{way.proxy}"
    assert way.proxy.authorization.removeprefix("Basic ") not in f"{way!r}{way.proxy!r}{way.proxy}"
    assert set(way.secrets) == {"pa55word/x", "pa55word%2Fx", "dXNlcjpwYTU1d29yZC94"}


@pytest.mark.parametrize("entry", ["http://a.example", "a example", "10.0.0.0/33", "a:0", "example*"])
def test_an_entry_that_names_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"host|port|also match"):
        parse_no_proxy([entry])
