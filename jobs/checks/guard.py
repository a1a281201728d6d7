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

from jobs.checks.addresses import Found, IPNetwork, Reach, natures
from jobs.checks.errors import TargetDenied
from jobs.checks.own_places import LIVE_PATH, OwnPlace
from jobs.problems import printable
from jobs.targets.places import peer_text
from jobs.urls import effective_port, host_and_port

_OWN_API = "is where this program serves its own API"


@dataclass(frozen=True, slots=True)
class Rules:
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
    own_places: tuple[OwnPlace, ...] = ()
    own_hosts: tuple[str, ...] = ()


class Guard:
    """The rules, asked. Every method raises TargetDenied where they do not allow it."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._hosts = tuple(re.compile(translate(_plain(pattern))) for pattern in rules.hosts)
        self._identity = tuple(filter(None, map(_Endpoint.of, rules.identity_endpoints)))
        self._own_hosts = frozenset(map(_plain, rules.own_hosts))

    def check_scheme(self, scheme: str, host: str, port: int) -> None:
        """Whether URLs of this scheme may be asked."""
        if scheme not in self._rules.schemes:
            raise _denied(f"{_peer(host, port)} is asked by {scheme}, which is not allowed", "schemes")

    def check_place(self, host: str, port: int, *, only_live: bool = False) -> None:
        """Whether this host and port may be asked, whatever addresses the host has.

        `only_live`: what is asked for is LIVE_PATH and nothing else, so the program's own API may be asked, too.
        """
        if not any(low <= port <= high for low, high in self._rules.ports):
            raise _denied(f"port {port} of {printable(host)} is not one that may be asked", "ports")
        if self._hosts and not any(pattern.fullmatch(_plain(host)) for pattern in self._hosts):
            raise _denied(f"{printable(host)} is not among the hosts that may be asked", "hosts")
        self._check_own_names(_plain(host), host, port, only_live)

    def check(self, host: str, address: str, port: int, *, only_live: bool = False) -> None:
        """Whether this one address of a host may be connected to."""
        self.allowed(host, port, (address,), only_live=only_live)

    def allowed(self, host: str, port: int, addresses: Sequence[str], *, only_live: bool = False) -> list[str]:
        """Those of a host's addresses that may be connected to, in the same order; one at least.

        One that nobody may ever ask denies the name as a whole: no honest name has it beside others. One of a network
        that the settings do not name is left out, as long as another one remains.
        """
        self.check_place(host, port, only_live=only_live)
        left: list[str] = []
        denied: TargetDenied | None = None
        for address in addresses:
            found = natures(address)
            self._check_never(host, port, address, found)
            if not only_live:
                self._check_own_places(host, port, address, found)
            problem = self._problem(host, port, address, found)
            if problem is None:
                left.append(address)
            denied = denied or problem
        if not left and denied is not None:
            raise denied
        return left

    def denial(self, url: str) -> str:
        """Why this URL may not be asked, as far as its text tells without the DNS; empty if it may."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", effective_port(parts.scheme, parts.port)
        try:
            self.check_scheme(parts.scheme, host, port)
        except TargetDenied as denied:
            return str(denied)
        return self.denial_at(host, port, only_live=(parts.path, parts.query) == (LIVE_PATH, ""))

    def denial_at(self, host: str, port: int, *, only_live: bool = False) -> str:
        """The same of a host and a port."""
        try:
            self.check_place(host, port, only_live=only_live)
            with suppress(ValueError):  # a name
                self.check(host, host, port, only_live=only_live)
        except TargetDenied as denied:
            return str(denied)
        return ""

    def body_limit(self, wanted: int) -> int:
        """Bytes of an answer that may be read, of those that a job wants."""
        return min(wanted, self._rules.largest_body)

    def _check_own_names(self, name: str, host: str, port: int, only_live: bool) -> None:
        own = name in self._own_hosts or any(place.is_named(name, port) for place in self._rules.own_places)
        if own and not only_live:
            raise _denied(f"{_peer(host, port)} {_OWN_API}")
        if any(endpoint.is_named(name, port) for endpoint in self._identity):
            raise _denied(f"{_peer(host, port)} is where the platform hands out this app's tokens")

    def _check_never(self, host: str, port: int, address: str, found: Iterable[Found]) -> None:
        for each in found:
            if each.nature.reach is Reach.NEVER:
                raise _denied(f"{_shown(host, port, address, each)} is {each.nature.words}")
            if any(endpoint.is_at(each, port) for endpoint in self._identity):
                raise _denied(f"{_shown(host, port, address, each)} is where the platform hands out this app's tokens")

    def _check_own_places(self, host: str, port: int, address: str, found: Iterable[Found]) -> None:
        for each in found:
            if any(place.is_at(each.address, port) for place in self._rules.own_places):
                raise _denied(f"port {port} of {_shown(host, port, address, each)} {_OWN_API}")

    def _problem(self, host: str, port: int, address: str, found: Iterable[Found]) -> TargetDenied | None:
        for each in found:
            if each.nature.reach is Reach.NAMED and not self._is_named(each):
                text = f"{_shown(host, port, address, each)} is {each.nature.words}, of no network that may be asked"
                return _denied(text, "networks", "name its network in")
        return None

    def _is_named(self, found: Found) -> bool:
        return any(found.address in network for network in self._rules.networks)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Where tokens are handed out; on loopback, unless its host is a numeric address."""

    host: str
    port: int

    @staticmethod
    def of(url: str) -> _Endpoint | None:
        try:
            host, port = host_and_port(url)
        except ValueError:
            return None
        return _Endpoint(_plain(host), port) if host else None

    def is_named(self, host: str, port: int) -> bool:
        return port == self.port and host == self.host

    def is_at(self, found: Found, port: int) -> bool:
        return port == self.port and (found.address.is_loopback or str(found.address) == self.host)


def _denied(reason: str, setting: str = "", remedy: str = "add it to") -> TargetDenied:
    if not setting:
        return TargetDenied(f"Not asked: {reason}. No setting allows that.")
    variable = f"SCHEDULER_TARGETS__{setting.upper()}"
    return TargetDenied(f"Not asked: {reason}. To allow it, {remedy} the setting targets.{setting} ({variable}).")


def _shown(host: str, port: int, address: str, found: Found) -> str:
    """The address as it was found, with the one inside it, and whose it is."""
    text, place = str(found.address), _peer(host, port)
    if text != address:
        text = f"{text} (in {printable(address)})"
    return text if host == address else f"{text}, an address of {place},"


def _peer(host: str, port: int) -> str:
    return peer_text(printable(host), port)


def _plain(name: str) -> str:
    """A name, or a pattern, as names are compared: in lower case, without the dot at its end, in ASCII."""
    text = name.lower().rstrip(".")
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode()
    except UnicodeError:
        return text


LOCAL = Guard(Rules(networks=tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))))
"""For those who have no settings: loopback and what is public."""
