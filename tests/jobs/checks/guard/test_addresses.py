"""What nobody may ask passes under no settings, in none of the forms in which an address can carry another one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.addresses import AddressPolicy, classify_address, find_forbidden_kind
from jobs.checks.errors import TargetDenied
from jobs.checks.guard import Guard, TargetRules

# Written here once more, so that a change of the table is noticed.
FORBIDDEN_4 = [
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "192.0.0.192/32",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
FORBIDDEN_6 = [IPv6Network(text) for text in ("::/128", "fe80::/10", "fd00:ec2::254/128", "ff00::/8", "4000::/2")]

numbers_32 = st.integers(0, 2**32 - 1)


def inside(network: IPv4Network | IPv6Network) -> st.SearchStrategy[int]:
    return st.integers(int(network[0]), int(network[-1]))


forbidden_4 = st.one_of([inside(network) for network in FORBIDDEN_4])
forbidden_6 = st.one_of([inside(network) for network in FORBIDDEN_6]).map(IPv6Address)

NAT64, LOCAL_NAT64 = int(IPv6Address("64:ff9b::")), int(IPv6Address("64:ff9b:1::"))


@st.composite
def carriers(draw: st.DrawFn) -> IPv6Address:
    """An IPv6 address that carries a forbidden IPv4 address, in one of the ways that gateways and kernels know."""
    inner, other = draw(forbidden_4), draw(numbers_32)
    number = draw(
        st.sampled_from(
            [
                0xFFFF << 32 | inner,
                inner,
                0xFFFF << 48 | inner,
                NAT64 | inner,
                LOCAL_NAT64 | other << 40 | inner,
                LOCAL_NAT64 | (inner >> 16) << 64 | (inner & 0xFFFF) << 40,
                LOCAL_NAT64 | (inner >> 8) << 64 | (inner & 0xFF) << 48,
                LOCAL_NAT64 | (other & 0xFFFF) << 64 | inner << 24,
                0x2002 << 112 | inner << 80 | other,
                0x20010000 << 96 | inner << 64 | other,
                0x20010000 << 96 | other << 64 | (~inner & 0xFFFFFFFF),
                # ISATAP, below any prefix; the universal and the group bit may be set.
                0x2A010111 << 96 | other << 64 | 0x00005EFE << 32 | inner,
                0x2A010111 << 96 | other << 64 | 0x02005EFE << 32 | inner,
                0xFD000000 << 96 | other << 64 | 0x03005EFE << 32 | inner,
            ]
        )
    )
    return IPv6Address(number)


addresses = st.one_of(forbidden_4.map(IPv4Address), forbidden_6, carriers())
networks = st.lists(
    st.one_of(
        st.just(ip_network("0.0.0.0/0")),
        st.just(ip_network("::/0")),
        st.tuples(numbers_32, st.integers(0, 32)).map(lambda pair: IPv4Network(pair, strict=False)),
        st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(lambda pair: IPv6Network(pair, strict=False)),
    ),
    max_size=4,
)


others = st.lists(st.sampled_from(["8.8.8.8", "10.0.0.1", "::1"]), max_size=3)


@given(addresses, networks, st.sampled_from(["", "%1", "%eth0"]), others)
def test_what_no_one_may_request_is_denied_whatever_the_settings(
    address: IPv4Address | IPv6Address, named: list[IPv4Network | IPv6Network], zone: str, next_to: list[str]
) -> None:
    text = f"{address}{zone}" if isinstance(address, IPv6Address) else str(address)
    guard = Guard(TargetRules(networks=(*named, ip_network(address))))
    for answers in ([*next_to, text], [text, *next_to]):
        with pytest.raises(TargetDenied, match="No setting allows that"):
            guard.filter_allowed("any.example", 443, answers)


@pytest.mark.parametrize(
    "text",
    [
        "2a01:111:a9fe:a9fe::",  # a prefix of 32 bits
        "2a01:111:1a9:fea9:fe::",
        "2a01:111:1:a9fe:a9:fe00::",
        "2a01:111:1:1a9:fe:a9fe::",
        "2a01:111:1:1:a9:fea9:fe00:0",
        "2a01:111::a9fe:a9fe",  # of 96
        "2a01:111:1:2::a83f:8110",
        "2603:1030::6464:64c8",
    ],
)
def test_a_metadata_service_behind_a_gateway_of_ones_own_is_never_requested(text: str) -> None:
    """RFC 6052 lets a network choose its own prefix for NAT64; nothing in an address tells it."""
    with pytest.raises(TargetDenied, match="No setting allows that"):
        Guard(TargetRules(networks=(ip_network("::/0"),))).filter_allowed("any.example", 443, [text])


@pytest.mark.parametrize(
    "text",
    ["2a01:111::a00:1", "2a01:111:a00:1::1", "2a01:111::c0a8:101", "2a01:111::1:a9fe:a9fe", "2a01:111::5efe:808:808"],
)
def test_other_public_addresses_stay_public(text: str) -> None:
    assert Guard(TargetRules()).filter_allowed("any.example", 443, [text]) == [text]


@given(st.one_of(numbers_32.map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)))
def test_what_the_standard_library_calls_not_global_is_never_public(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global:
        assert any(found.kind.policy is not AddressPolicy.PUBLIC for found in classify_address(str(address)))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "20.50.2.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
def test_public_addresses_need_no_setting(text: str) -> None:
    assert Guard(TargetRules()).filter_allowed("dns.example", 443, [text]) == [text]


@pytest.mark.parametrize(
    ("network", "address", "fits"),
    [
        ("10.20.0.0/16", "10.20.3.4", True),
        ("10.20.0.0/16", "10.21.3.4", False),
        ("10.20.0.0/16", "::ffff:10.20.3.4", True),
        ("10.20.0.0/16", "64:ff9b::10.20.3.4", True),
        ("10.20.0.0/16", "2002:a14:304::1", True),
        ("10.20.0.0/16", "64:ff9b:1::10.20.3.4", False),
        ("fd12::/16", "fd12::1", True),
        ("fd12::/16", "fd13::1", False),
        ("::1/128", "::1", True),
        ("0.0.0.0/0", "::1", False),
    ],
)
def test_a_network_that_is_named_lets_its_own_addresses_pass(network: str, address: str, fits: bool) -> None:
    guard = Guard(TargetRules(networks=(ip_network(network),)))
    if fits:
        assert guard.filter_allowed("a.internal", 80, [address]) == [address]
    else:
        with pytest.raises(TargetDenied, match=r"targets\.networks"):
            guard.filter_allowed("a.internal", 80, [address])


@pytest.mark.parametrize(
    ("network", "never"),
    [
        ("169.254.1.0/24", True),
        ("168.63.129.16/32", True),
        ("fe80::/64", True),
        ("4000::/2", True),
        ("0.0.0.0/0", False),
        ("::/0", False),
        ("fc00::/6", False),
        ("10.0.0.0/8", False),
        ("127.0.0.1/32", False),
        ("168.63.0.0/16", False),
    ],
)
def test_a_network_of_which_no_address_may_be_requested_is_known(network: str, never: bool) -> None:
    assert (find_forbidden_kind(ip_network(network)) is not None) is never
