"""Decide where checks may connect to, by the settings of the group `targets`. Pure.

Built by scheduler.app. jobs.checks.net.network checks every resolved address of a host before it connects,
jobs.checks.http the scheme of every URL. So a name whose addresses changed since its last lookup cannot get around the
guard, nor an unusual spelling of an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import translate
from ipaddress import ip_network
from urllib.parse import urlsplit

from jobs.checks.addresses import LIVE_PATH, AddressPolicy, ClassifiedAddress, IPNetwork, OwnEndpoint, classify_address
from jobs.checks.errors import TargetDenied
from jobs.formats import effective_port, format_host_port, host_and_port
from jobs.problems import make_printable

_OWN_API = "serves this program's own API"

MAX_CACHED_DECISIONS = 4096
"""Numeric addresses with a port that are known to be allowed."""


@dataclass(frozen=True, slots=True)
class TargetRules:
    """The allowed targets.

    `networks`: allowed in addition to public addresses. `hosts`: patterns such as `*.internal`; empty: all. `ports`:
    ranges, both ends included. `largest_body`: bytes of a response that are read at most, whatever a job requests.
    `identity_endpoints`: URLs at which the platform issues the app's tokens. `own_endpoints`, `own_hosts`: where this
    program, or its host, serves its API. No setting allows the last three.
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
    """Checks targets against the rules. Methods raise TargetDenied unless they return a text."""

    def __init__(self, rules: TargetRules) -> None:
        self._rules = rules
        self._hosts = tuple(re.compile(translate(_normalize_name(pattern))) for pattern in rules.hosts)
        self._identity = tuple(filter(None, map(_TokenEndpoint.from_url, rules.identity_endpoints)))
        self._own_hosts = frozenset(map(_normalize_name, rules.own_hosts))
        self._own_ports = frozenset(place.port for place in rules.own_endpoints)
        self._allowed_numeric: set[tuple[str, int, bool]] = set()

    def check_scheme(self, scheme: str, host: str, port: int) -> None:
        """Check the scheme of a URL."""
        if scheme not in self._rules.schemes:
            raise _denial(f"{_endpoint_text(host, port)} uses the scheme {scheme}, which is not allowed", "schemes")

    def check_endpoint(self, host: str, port: int, *, only_live: bool = False) -> None:
        """Check a host and port, whatever addresses the host has.

        `only_live`: the request is for LIVE_PATH alone, which the program's own API may receive.
        """
        if not any(low <= port <= high for low, high in self._rules.ports):
            raise _denial(f"port {port} of {make_printable(host)} is not an allowed port", "ports")
        if self._hosts and not any(pattern.fullmatch(_normalize_name(host)) for pattern in self._hosts):
            raise _denial(f"{make_printable(host)} is not an allowed host", "hosts")
        self._check_own_names(_normalize_name(host), host, port, only_live)

    def check_address(self, host: str, address: str, port: int, *, only_live: bool = False) -> None:
        """Check one address of a host."""
        self.filter_allowed(host, port, (address,), only_live=only_live)

    def check_numeric(self, address: str, port: int, *, only_live: bool = False) -> None:
        """Check a host that is a numeric address."""
        # perf: run-cost, 6 us each. The rules never change; where the own API is depends on the machine.
        key = (address, port, only_live)
        if key in self._allowed_numeric:
            return
        self.filter_allowed(address, port, (address,), only_live=only_live)
        if port not in self._own_ports:
            if len(self._allowed_numeric) >= MAX_CACHED_DECISIONS:
                self._allowed_numeric.clear()
            self._allowed_numeric.add(key)

    def filter_allowed(self, host: str, port: int, addresses: Sequence[str], *, only_live: bool = False) -> list[str]:
        """Return the allowed addresses of a host, in the same order; at least one.

        An address that is never allowed denies the whole name: no honest name has it among others. An address outside
        the allowed networks is skipped, as long as another one remains.
        """
        self.check_endpoint(host, port, only_live=only_live)
        allowed: list[str] = []
        denied: TargetDenied | None = None
        for address in addresses:
            forms = classify_address(address)
            self._check_forbidden(host, port, address, forms)
            if not only_live:
                self._check_own_endpoints(host, port, address, forms)
            problem = self._network_denial(host, port, address, forms)
            if problem is None:
                allowed.append(address)
            denied = denied or problem
        if not allowed and denied is not None:
            raise denied
        return allowed

    def explain_denial(self, url: str) -> str:
        """Return why a URL is denied, as far as its text shows without the DNS; empty if it is allowed."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", effective_port(parts.scheme, parts.port)
        try:
            self.check_scheme(parts.scheme, host, port)
        except TargetDenied as denied:
            return str(denied)
        return self.explain_denial_at(host, port, only_live=(parts.path, parts.query) == (LIVE_PATH, ""))

    def explain_denial_at(self, host: str, port: int, *, only_live: bool = False) -> str:
        """Return why a host and port are denied; empty if they are allowed."""
        try:
            self.check_endpoint(host, port, only_live=only_live)
            with suppress(ValueError):  # a name
                self.check_address(host, host, port, only_live=only_live)
        except TargetDenied as denied:
            return str(denied)
        return ""

    def cap_body_limit(self, requested: int) -> int:
        """Return the bytes of a response to read, of those that a job requests."""
        return min(requested, self._rules.largest_body)

    def _check_own_names(self, name: str, host: str, port: int, only_live: bool) -> None:
        own = name in self._own_hosts or any(place.matches_name(name, port) for place in self._rules.own_endpoints)
        if own and not only_live:
            raise _denial(f"{_endpoint_text(host, port)} {_OWN_API}")
        if any(endpoint.matches_name(name, port) for endpoint in self._identity):
            raise _denial(f"{_endpoint_text(host, port)} is where the platform issues this app's tokens")

    def _check_forbidden(self, host: str, port: int, address: str, forms: Iterable[ClassifiedAddress]) -> None:
        for form in forms:
            if form.kind.policy is AddressPolicy.NEVER:
                raise _denial(f"{_address_text(host, port, address, form)} is {form.kind.description}")
            if any(endpoint.matches_address(form, port) for endpoint in self._identity):
                raise _denial(
                    f"{_address_text(host, port, address, form)} is where the platform issues this app's tokens"
                )

    def _check_own_endpoints(self, host: str, port: int, address: str, forms: Iterable[ClassifiedAddress]) -> None:
        for form in forms:
            if any(place.matches_address(form.address, port) for place in self._rules.own_endpoints):
                raise _denial(f"port {port} of {_address_text(host, port, address, form)} {_OWN_API}")

    def _network_denial(
        self, host: str, port: int, address: str, forms: Iterable[ClassifiedAddress]
    ) -> TargetDenied | None:
        for form in forms:
            if form.kind.policy is AddressPolicy.NEEDS_NETWORK and not self._is_in_allowed_network(form):
                text = (
                    f"{_address_text(host, port, address, form)} is {form.kind.description} "
                    "outside the allowed networks"
                )
                return _denial(text, "networks", "add its network to")
        return None

    def _is_in_allowed_network(self, form: ClassifiedAddress) -> bool:
        return any(form.address in network for network in self._rules.networks)


@dataclass(frozen=True, slots=True)
class _TokenEndpoint:
    """Where the platform issues tokens; on loopback, unless its host is a numeric address."""

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

    def matches_address(self, form: ClassifiedAddress, port: int) -> bool:
        return port == self.port and (form.address.is_loopback or str(form.address) == self.host)


def _denial(reason: str, setting: str = "", remedy: str = "add it to") -> TargetDenied:
    if not setting:
        return TargetDenied(f"{reason}. No setting allows that.")
    variable = f"SCHEDULER_TARGETS__{setting.upper()}"
    return TargetDenied(f"{reason}. To allow it, {remedy} the setting targets.{setting} ({variable}).")


def _address_text(host: str, port: int, address: str, form: ClassifiedAddress) -> str:
    """Return the address with the one embedded in it, and the host that resolved to it."""
    text, place = str(form.address), _endpoint_text(host, port)
    if text != address:
        text = f"{text} (in {make_printable(address)})"
    return text if host == address else f"{text}, an address of {place},"


def _endpoint_text(host: str, port: int) -> str:
    return format_host_port(make_printable(host), port)


def _normalize_name(name: str) -> str:
    """Return a name or pattern in the form that comparisons use: lower case, no dot at its end, ASCII."""
    text = name.lower().rstrip(".")
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode()
    except UnicodeError:
        return text


LOCAL_GUARD = Guard(TargetRules(networks=tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))))
"""Used without settings: loopback and public addresses."""
PROXY_GUARD = Guard(TargetRules(networks=tuple(map(ip_network, ("0.0.0.0/0", "::/0")))))
"""For the proxy of the setting `outbound`, which is where the settings say. Link-local addresses stay denied."""
