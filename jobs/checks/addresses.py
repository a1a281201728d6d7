"""Classify IP addresses: public, allowed only if a setting names their network, never allowed, or our own API's. Pure.

Not by `ipaddress.is_global`, which is true for Azure's 168.63.129.16, for multicast, and for the NAT64 and 6to4
networks that embed any IPv4 address.

Where this program, or the host that runs it, serves its API is never a target: the API accepts every request from this
machine, so a job that could reach it could pause, run or read all other jobs.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from ipaddress import ip_address

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressPolicy(Enum):
    """When checks may connect to an address."""

    PUBLIC = "public"
    NEEDS_NETWORK = "named"
    """Only if a setting names a network that contains it."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class AddressKind:
    """What an address is. `description` follows "is", such as `a loopback address`."""

    policy: AddressPolicy
    description: str


@dataclass(frozen=True, slots=True)
class ClassifiedAddress:
    """An address, or an IPv4 address that is embedded in it, and its kind."""

    address: IPAddress
    kind: AddressKind


_PUBLIC = AddressKind(AddressPolicy.PUBLIC, "a public address")
_LOOPBACK = AddressKind(AddressPolicy.NEEDS_NETWORK, "a loopback address")
_PRIVATE = AddressKind(AddressPolicy.NEEDS_NETWORK, "a private address")
_DOCUMENTATION = AddressKind(AddressPolicy.NEEDS_NETWORK, "a documentation address")
_METADATA = AddressKind(AddressPolicy.NEVER, "the metadata service of a cloud")
_LINK_LOCAL = AddressKind(AddressPolicy.NEVER, "a link-local address, where clouds serve metadata and identities")
_MULTICAST = AddressKind(AddressPolicy.NEVER, "a multicast address")
_RESERVED = AddressKind(AddressPolicy.NEVER, "a reserved address")
_UNSPECIFIED = AddressKind(AddressPolicy.NEVER, "an unspecified address, which means this machine")

# The first network that contains an address counts, so smaller networks precede larger ones.
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
    ("100.64.0.0/10", AddressKind(AddressPolicy.NEEDS_NETWORK, "a shared address of providers (carrier-grade NAT)")),
    ("198.18.0.0/15", AddressKind(AddressPolicy.NEEDS_NETWORK, "a benchmarking address")),
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
    ("2001::/23", AddressKind(AddressPolicy.NEEDS_NETWORK, "an address reserved for protocols")),
    ("2000::/3", _PUBLIC),
    ("::/0", _RESERVED),
)
_PARSED_NETWORKS: tuple[tuple[IPNetwork, AddressKind], ...] = tuple(
    (ipaddress.ip_network(text), kind) for text, kind in _KINDS_BY_NETWORK
)

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_TEREDO = ipaddress.IPv6Network("2001::/32")

_GLOBAL = ipaddress.IPv6Network("2000::/3")

_ISATAP, _UNIVERSAL_AND_GROUP = 0x00005EFE, 0x03000000
"""Upper half of an interface id that embeds an IPv4 address (RFC 5214, section 6.1), and the bits of it that may be
set."""

_FORBIDDEN_BEHIND_GATEWAYS = tuple(
    map(
        ipaddress.IPv4Network,
        ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),
    )
)
"""IPv4 addresses that are never allowed behind a NAT64 of an unknown prefix. An IPv6 address that ends like one of
these is hardly ever a host's own; one that ends like a private IPv4 address may well be."""

_LOW_32 = 0xFFFFFFFF


# perf: run-cost, 3 % of a run for an IPv6 address, 1 % for an IPv4 one; a name may have several
@lru_cache(4096)
def classify_address(text: str) -> tuple[ClassifiedAddress, ...]:
    """Return the kind of an address, then those of the IPv4 addresses embedded in it. All of them count.

    `text` is numeric, as a resolver returns it; the zone of an IPv6 address (`fe80::1%eth0`) is ignored.

    Raises:
        ValueError: not an IP address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    return tuple(ClassifiedAddress(each, _kind_of(each)) for each in _with_embedded(address))


def find_forbidden_kind(network: IPNetwork) -> AddressKind | None:
    """Return the kind of a network none of whose addresses is ever allowed; None for all others."""
    there = [(known, nature) for known, nature in _PARSED_NETWORKS if known.overlaps(network)]
    for known, nature in there:
        if nature.policy is not AddressPolicy.NEVER:
            return None
        if known.supernet_of(network):  # type: ignore[arg-type]  # overlapping networks have the same version
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
    """Yield the IPv4 addresses that a gateway may translate the address to."""
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
    """Yield by RFC 6052, section 2.2.

    The position of the IPv4 address depends on the length of the gateway's prefix: 96 bits, or 48, 56 or 64 followed by
    zero bits. The eight bits in the middle (the u octet) are skipped.
    """
    yield _ipv4(number)
    if number & 0xFFFFFF == 0:
        for above in (16, 8, 0):
            yield _join_around_u_octet(number, above)


def _embedded_behind_any_prefix(number: int) -> Iterator[ipaddress.IPv4Address]:
    """Yield the same for any prefix of 32, 40, 48, 56, 64 or 96 bits, if all bits around the address are zero."""
    if (number >> 32) & _LOW_32 == 0:
        yield _ipv4(number)
    for above in (32, 24, 16, 8, 0):
        if number & ((1 << (24 + above)) - 1) == 0 and (number >> 56) & 0xFF == 0:
            yield _join_around_u_octet(number, above)


def _join_around_u_octet(number: int, above: int) -> ipaddress.IPv4Address:
    """Return the IPv4 address around the u octet; `above`: how many of its bits precede the octet."""
    high, low = (number >> 64) & ((1 << above) - 1), (number >> (24 + above)) & ((1 << (32 - above)) - 1)
    return _ipv4((high << (32 - above)) | low)


def _ipv4(number: int) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(number & _LOW_32)


LIVE_PATH = "/api/health/live"
"""The one path of the own API that a job may request, by GET or HEAD.

Served by scheduler.api.lazy_app and scheduler.hosts.functions.liveness.

The response is always the same, and the first job of many users requests it.
"""


@dataclass(frozen=True)
class OwnEndpoint:
    """A port on which the program listens.

    `host`: the address or name that it listens on; `0.0.0.0` and `::` mean every address of the machine.
    """

    host: str
    port: int

    def matches_address(self, address: IPAddress, port: int) -> bool:
        """Return whether a connection to this address and port may reach the program."""
        if port != self.port:
            return False
        own = self._address
        if own is None or own.is_loopback:
            return address.is_loopback
        return address == own or (own.is_unspecified and (address.is_loopback or is_local_address(address)))

    def matches_name(self, host: str, port: int) -> bool:
        """Return whether this name (lower case, no dot at its end) and port mean the program, without a DNS query."""
        return port == self.port and host == machine_name()

    @cached_property
    def _address(self) -> IPAddress | None:
        """None for a name, which is localhost."""
        with suppress(ValueError):
            return ip_address(self.host)
        return None


def machine_name() -> str:
    """Return the machine's own name in the form that comparisons use."""
    return socket.gethostname().lower().rstrip(".")


def is_local_address(address: IPAddress) -> bool:
    """Return whether the machine has this address: only then can a socket be bound to it. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
