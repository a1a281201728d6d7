"""Where checks may connect to, by the settings of the group `targets`. Pure.

Built by scheduler.app, asked by network.py for every address that a name has, before it is connected to, and by http.py
for the scheme of every URL. Names that have changed their addresses since the last look are seen through by that, and
so is every odd way in which an address can be written: what counts is what the resolver makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import translate
from ipaddress import ip_network
from urllib.parse import urlsplit

from jobs.checks.errors import TargetDenied
from jobs.checks.guard.addresses import AddressPolicy, ClassifiedAddress, IPNetwork, classify_address
from jobs.checks.guard.own_endpoints import LIVE_PATH, OwnEndpoint
from jobs.problems import make_printable
from jobs.targets.endpoint_types import format_host_port
from jobs.targets.urls import effective_port, host_and_port

_OWN_API = "is where this program serves its own API"


@dataclass(frozen=True, slots=True)
class TargetRules:
    """What may be asked. `hosts`: patterns such as `*.internal`, none means all. `ports`: both ends belong to it.

    `largest_body`: bytes of an answer that are read at most, whatever a job says. `identity_endpoints`: URLs at which
    the platform hands out the app's tokens; `own_places`, `own_hosts`: where the program itself, or the host that runs
    it, serves its API, by port and by name. No setting makes these a target.
    """

    networks: tuple[IPNetwork, ...] = ()
    hosts: tuple[str, ...] = ()
    ports: tuple[tuple[int, int], ...] = ((1, 65535),)
    schemes: frozenset[str] = frozenset({"http", "https"})
    largest_body: int = 16 * 1024 * 1024
    identity_endpoints: tuple[str, ...] = ()
    own_endpoints: tuple[OwnEndpoint, ...] = ()
    own_hosts: tuple[str, ...] = ()


class Guard:
    """The rules, asked. Every method raises TargetDenied where they do not allow it."""

    def __init__(self, rules: TargetRules) -> None:
        self._rules = rules
        self._hosts = tuple(re.compile(translate(_normalize_name(pattern))) for pattern in rules.hosts)
        self._identity = tuple(filter(None, map(_TokenEndpoint.from_url, rules.identity_endpoints)))
        self._own_hosts = frozenset(map(_normalize_name, rules.own_hosts))

    def check_scheme(self, scheme: str, host: str, port: int) -> None:
        """Whether URLs of this scheme may be asked."""
        if scheme not in self._rules.schemes:
            raise _denial(f"{_endpoint_text(host, port)} is asked by {scheme}, which is not allowed", "schemes")

    def check_endpoint(self, host: str, port: int, *, only_live: bool = False) -> None:
        """Whether this host and port may be asked, whatever addresses the host has.

        `only_live`: what is asked for is LIVE_PATH and nothing else, so the program's own API may be asked, too.
        """
        if not any(low <= port <= high for low, high in self._rules.ports):
            raise _denial(f"port {port} of {make_printable(host)} is not one that may be asked", "ports")
        if self._hosts and not any(pattern.fullmatch(_normalize_name(host)) for pattern in self._hosts):
            raise _denial(f"{make_printable(host)} is not among the hosts that may be asked", "hosts")
        self._check_own_names(_normalize_name(host), host, port, only_live)

    def check_address(self, host: str, address: str, port: int, *, only_live: bool = False) -> None:
        """Whether this one address of a host may be connected to."""
        self.filter_allowed(host, port, (address,), only_live=only_live)

    def filter_allowed(self, host: str, port: int, addresses: Sequence[str], *, only_live: bool = False) -> list[str]:
        """Those of a host's addresses that may be connected to, in the same order; one at least.

        One that nobody may ever ask denies the name as a whole: no honest name has it beside others. One of a network
        that the settings do not name is left out, as long as another one remains.
        """
        self.check_endpoint(host, port, only_live=only_live)
        left: list[str] = []
        denied: TargetDenied | None = None
        for address in addresses:
            found = classify_address(address)
            self._check_forbidden(host, port, address, found)
            if not only_live:
                self._check_own_endpoints(host, port, address, found)
            problem = self._network_denial(host, port, address, found)
            if problem is None:
                left.append(address)
            denied = denied or problem
        if not left and denied is not None:
            raise denied
        return left

    def explain_denial(self, url: str) -> str:
        """Why this URL may not be asked, as far as its text tells without the DNS; empty if it may."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", effective_port(parts.scheme, parts.port)
        try:
            self.check_scheme(parts.scheme, host, port)
        except TargetDenied as denied:
            return str(denied)
        return self.explain_denial_at(host, port, only_live=(parts.path, parts.query) == (LIVE_PATH, ""))

    def explain_denial_at(self, host: str, port: int, *, only_live: bool = False) -> str:
        """The same of a host and a port."""
        try:
            self.check_endpoint(host, port, only_live=only_live)
            with suppress(ValueError):  # a name
                self.check_address(host, host, port, only_live=only_live)
        except TargetDenied as denied:
            return str(denied)
        return ""

    def cap_body_limit(self, requested: int) -> int:
        """Bytes of an answer that may be read, of those that a job wants."""
        return min(requested, self._rules.largest_body)

    def _check_own_names(self, name: str, host: str, port: int, only_live: bool) -> None:
        own = name in self._own_hosts or any(place.matches_name(name, port) for place in self._rules.own_endpoints)
        if own and not only_live:
            raise _denial(f"{_endpoint_text(host, port)} {_OWN_API}")
        if any(endpoint.matches_name(name, port) for endpoint in self._identity):
            raise _denial(f"{_endpoint_text(host, port)} is where the platform hands out this app's tokens")

    def _check_forbidden(self, host: str, port: int, address: str, found: Iterable[ClassifiedAddress]) -> None:
        for each in found:
            if each.kind.policy is AddressPolicy.NEVER:
                raise _denial(f"{_address_text(host, port, address, each)} is {each.kind.description}")
            if any(endpoint.matches_address(each, port) for endpoint in self._identity):
                raise _denial(
                    f"{_address_text(host, port, address, each)} is where the platform hands out this app's tokens"
                )

    def _check_own_endpoints(self, host: str, port: int, address: str, found: Iterable[ClassifiedAddress]) -> None:
        for each in found:
            if any(place.matches_address(each.address, port) for place in self._rules.own_endpoints):
                raise _denial(f"port {port} of {_address_text(host, port, address, each)} {_OWN_API}")

    def _network_denial(
        self, host: str, port: int, address: str, found: Iterable[ClassifiedAddress]
    ) -> TargetDenied | None:
        for each in found:
            if each.kind.policy is AddressPolicy.NEEDS_NETWORK and not self._is_in_allowed_network(each):
                text = f"{_address_text(host, port, address, each)} is {each.kind.description}, of no network that may be asked"
                return _denial(text, "networks", "name its network in")
        return None

    def _is_in_allowed_network(self, found: ClassifiedAddress) -> bool:
        return any(found.address in network for network in self._rules.networks)


@dataclass(frozen=True, slots=True)
class _TokenEndpoint:
    """Where tokens are handed out; on loopback, unless its host is a numeric address."""

    host: str
    port: int

    @staticmethod
    def from_url(url: str) -> _TokenEndpoint | None:
        try:
            host, port = host_and_port(url)
        except ValueError:
            return None
        return _TokenEndpoint(_normalize_name(host), port) if host else None

    def matches_name(self, host: str, port: int) -> bool:
        return port == self.port and host == self.host

    def matches_address(self, found: ClassifiedAddress, port: int) -> bool:
        return port == self.port and (found.address.is_loopback or str(found.address) == self.host)


def _denial(reason: str, setting: str = "", remedy: str = "add it to") -> TargetDenied:
    if not setting:
        return TargetDenied(f"Not asked: {reason}. No setting allows that.")
    variable = f"SCHEDULER_TARGETS__{setting.upper()}"
    return TargetDenied(f"Not asked: {reason}. To allow it, {remedy} the setting targets.{setting} ({variable}).")


def _address_text(host: str, port: int, address: str, found: ClassifiedAddress) -> str:
    """The address as it was found, with the one inside it, and whose it is."""
    text, place = str(found.address), _endpoint_text(host, port)
    if text != address:
        text = f"{text} (in {make_printable(address)})"
    return text if host == address else f"{text}, an address of {place},"


def _endpoint_text(host: str, port: int) -> str:
    return format_host_port(make_printable(host), port)


def _normalize_name(name: str) -> str:
    """A name, or a pattern, as names are compared: in lower case, without the dot at its end, in ASCII."""
    text = name.lower().rstrip(".")
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode()
    except UnicodeError:
        return text


LOCAL_GUARD = Guard(TargetRules(networks=tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))))
"""For those who have no settings: loopback and what is public."""
