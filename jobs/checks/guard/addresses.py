"""What an IP address is: public, of a network that has to be named in the settings, or one that nobody may ask.

Called by guard.py. Pure. Rules of our own, as `ipaddress.is_global` is true for Azure's 168.63.129.16, for the NAT64
and 6to4 networks that carry any IPv4 address inside, and for multicast.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressPolicy(Enum):
    """Who may ask it."""

    PUBLIC = "public"
    NEEDS_NETWORK = "named"
    """Whoever has a network in the settings that it belongs to."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class AddressKind:
    """What an address is. `words` follow "is", such as `a loopback address`."""

    policy: AddressPolicy
    description: str


@dataclass(frozen=True, slots=True)
class ClassifiedAddress:
    """An address, or the IPv4 address that it carries inside, and its nature."""

    address: IPAddress
    kind: AddressKind


_PUBLIC = AddressKind(AddressPolicy.PUBLIC, "a public address")
_LOOPBACK = AddressKind(AddressPolicy.NEEDS_NETWORK, "a loopback address")
_PRIVATE = AddressKind(AddressPolicy.NEEDS_NETWORK, "a private address")
_DOCUMENTATION = AddressKind(AddressPolicy.NEEDS_NETWORK, "an address for documents")
_METADATA = AddressKind(AddressPolicy.NEVER, "the metadata service of a cloud")
_LINK_LOCAL = AddressKind(AddressPolicy.NEVER, "a link-local address, where clouds keep metadata and identities")
_MULTICAST = AddressKind(AddressPolicy.NEVER, "a multicast address")
_RESERVED = AddressKind(AddressPolicy.NEVER, "a reserved address")
_UNSPECIFIED = AddressKind(AddressPolicy.NEVER, "an unspecified address, which means this machine")

# The first network that fits counts: small ones stand before the large ones around them.
_KINDS_BY_NETWORK: tuple[tuple[str, AddressKind], ...] = (
    ("168.63.129.16/32", AddressKind(AddressPolicy.NEVER, "Azure's own address inside every virtual machine")),
    ("100.100.100.200/32", _METADATA),
    ("192.0.0.192/32", _METADATA),
    ("169.254.0.0/16", _LINK_LOCAL),
    ("0.0.0.0/8", _UNSPECIFIED),
    ("127.0.0.0/8", _LOOPBACK),
    ("10.0.0.0/8", _PRIVATE),
    ("172.16.0.0/12", _PRIVATE),
    ("192.168.0.0/16", _PRIVATE),
    ("100.64.0.0/10", AddressKind(AddressPolicy.NEEDS_NETWORK, "an address that providers share among customers")),
    ("198.18.0.0/15", AddressKind(AddressPolicy.NEEDS_NETWORK, "an address for measurements")),
    ("192.0.2.0/24", _DOCUMENTATION),
    ("198.51.100.0/24", _DOCUMENTATION),
    ("203.0.113.0/24", _DOCUMENTATION),
    ("192.0.0.0/24", _RESERVED),
    ("192.88.99.0/24", _RESERVED),
    ("224.0.0.0/4", _MULTICAST),
    ("240.0.0.0/4", _RESERVED),
    ("0.0.0.0/0", _PUBLIC),
    ("::/128", _UNSPECIFIED),
    ("::1/128", _LOOPBACK),
    ("fd00:ec2::/32", _METADATA),
    ("fd20:ce::254/128", _METADATA),
    ("fd00:c1::a9fe:a9fe/128", _METADATA),
    ("fe80::/10", _LINK_LOCAL),
    ("ff00::/8", _MULTICAST),
    ("fc00::/7", _PRIVATE),
    ("fec0::/10", _PRIVATE),
    ("64:ff9b::/96", _PUBLIC),
    ("64:ff9b:1::/48", AddressKind(AddressPolicy.NEEDS_NETWORK, "an address of a local NAT64")),
    ("2001:db8::/32", _DOCUMENTATION),
    ("3fff::/20", _DOCUMENTATION),
    ("2001::/23", AddressKind(AddressPolicy.NEEDS_NETWORK, "an address for protocols")),
    ("2000::/3", _PUBLIC),
    ("::/0", _RESERVED),
)
_PARSED_NETWORKS: tuple[tuple[IPNetwork, AddressKind], ...] = tuple(
    (ipaddress.ip_network(text), told) for text, told in _KINDS_BY_NETWORK
)

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_TEREDO = ipaddress.IPv6Network("2001::/32")

_GLOBAL = ipaddress.IPv6Network("2000::/3")

_ISATAP, _UNIVERSAL_AND_GROUP = 0x00005EFE, 0x03000000
"""The upper half of an interface id that carries an IPv4 address (RFC 5214, section 6.1), and the bits of it that may
be set."""

_FORBIDDEN_BEHIND_GATEWAYS = tuple(
    map(
        ipaddress.IPv4Network,
        ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),
    )
)
"""What is never asked through a NAT64 whose prefix nobody knows. An IPv6 address that ends like one of these is
hardly ever a host's own; one that ends like a private IPv4 address may well be."""

_LOW_32 = 0xFFFFFFFF


@lru_cache(4096)
def classify_address(text: str) -> tuple[ClassifiedAddress, ...]:
    """The nature of an address, then those of the IPv4 addresses that it carries inside. All of them count.

    `text` is numeric, as a resolver gives it; the zone of an IPv6 address (`fe80::1%eth0`) says nothing more about it.

    Raises:
        ValueError: no IP address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    return tuple(ClassifiedAddress(each, _kind_of(each)) for each in _with_embedded(address))


def find_forbidden_kind(network: IPNetwork) -> AddressKind | None:
    """The nature of a network of which nobody may ask any address; None for all others."""
    there = [(known, nature) for known, nature in _PARSED_NETWORKS if known.overlaps(network)]
    for known, nature in there:
        if nature.policy is not AddressPolicy.NEVER:
            return None
        if known.supernet_of(network):  # type: ignore[arg-type]  # what overlaps has one version
            return nature
    return None


def _kind_of(address: IPAddress) -> AddressKind:
    return next(nature for network, nature in _PARSED_NETWORKS if address in network)


def _with_embedded(address: IPAddress) -> Iterator[IPAddress]:
    if isinstance(address, ipaddress.IPv4Address):
        yield address
    elif address in _MAPPED:
        yield _ipv4(int(address))  # the kernel connects to the IPv4 address itself
    else:
        yield address
        yield from _embedded_addresses(address)


def _embedded_addresses(address: ipaddress.IPv6Address) -> Iterator[IPAddress]:
    """The IPv4 addresses that a gateway may make of it."""
    number = int(address)
    if address in _NAT64:
        yield _ipv4(number)
    elif address in _LOCAL_NAT64:
        yield from _embedded_in_local_nat64(number)
    elif address in _SIX_TO_FOUR:
        yield _ipv4(number >> 80)
    elif address in _TEREDO:
        yield _ipv4(number >> 64)
        yield _ipv4(~number)
    if (number >> 32) & _LOW_32 & ~_UNIVERSAL_AND_GROUP == _ISATAP:
        yield _ipv4(number)
    if address in _GLOBAL:
        yield from (
            inner
            for inner in _embedded_behind_any_prefix(number)
            if any(inner in network for network in _FORBIDDEN_BEHIND_GATEWAYS)
        )


def _embedded_in_local_nat64(number: int) -> Iterator[IPAddress]:
    """RFC 6052, section 2.2: where the IPv4 address stands depends on how long the gateway's prefix is: 96 bits, or 48,
    56 or 64, and then nothing follows it. The eight bits in the middle are left out."""
    yield _ipv4(number)
    if number & 0xFFFFFF == 0:
        for above in (16, 8, 0):
            yield _join_around_u_octet(number, above)


def _embedded_behind_any_prefix(number: int) -> Iterator[ipaddress.IPv4Address]:
    """The same for any prefix: of 32, 40, 48, 56, 64 or 96 bits, where all around it is zero."""
    if (number >> 32) & _LOW_32 == 0:
        yield _ipv4(number)
    for above in (32, 24, 16, 8, 0):
        if number & ((1 << (24 + above)) - 1) == 0 and (number >> 56) & 0xFF == 0:
            yield _join_around_u_octet(number, above)


def _join_around_u_octet(number: int, above: int) -> ipaddress.IPv4Address:
    """The IPv4 address around the eight bits in the middle; `above`: how many bits of it stand above them."""
    high, low = (number >> 64) & ((1 << above) - 1), (number >> (24 + above)) & ((1 << (32 - above)) - 1)
    return _ipv4((high << (32 - above)) | low)


def _ipv4(number: int) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(number & _LOW_32)
