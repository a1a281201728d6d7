"""Decide by which way a connection leaves: by the proxy of the setting `outbound`, or directly. Pure.

Built by config.outbound. One object is handed to all clients: those of checks, channels, telemetry and identity.
Connections to this machine, and to link-local addresses, where clouds serve metadata and tokens, never use a proxy.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from jobs.checks.addresses import AddressPolicy, classify_address
from jobs.checks.binding.names import HostPattern, Recipient, parse_host_pattern
from jobs.formats import effective_port, format_host_port

if TYPE_CHECKING:
    from jobs.targets import Target


@dataclass(frozen=True, slots=True)
class ProxyEndpoint:
    """A proxy. `authorization`: of Proxy-Authorization, or empty. `is_default`: of the settings, not of a job."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)
    is_default: bool = False

    def __str__(self) -> str:
        return format_host_port(self.host, self.port)


NO_PROXY = ProxyEndpoint("", 0)
"""Of a job with `proxy: none`."""


@dataclass(frozen=True)
class Outbound:
    """The way out. `direct`: what does not use the proxy. `authorities`: trusted in addition, each in PEM form."""

    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    direct: tuple[HostPattern, ...] = ()
    authorities: tuple[str, ...] = ()

    @cached_property
    def proxy(self) -> ProxyEndpoint | None:
        """The proxy; None without one."""
        if not self.host:
            return None
        proof = b64encode(f"{self.user}:{self.password}".encode()).decode() if self.user else ""
        return ProxyEndpoint(self.host, self.port, f"Basic {proof}" if proof else "", is_default=True)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not appear in a text."""
        proof = self.proxy.authorization.removeprefix("Basic ") if self.proxy is not None else ""
        return tuple(filter(None, (self.password, quote(self.password, safe=""), proof)))

    def find_proxy(self, host: str, port: int) -> ProxyEndpoint | None:
        """Return the proxy for a connection to this host; None: connect directly."""
        if self.proxy is None:
            return None
        place = Recipient.from_host(host, port)
        is_direct = _is_always_direct(place.host) or any(pattern.matches(place) for pattern in self.direct)
        return None if is_direct else self.proxy

    def choose_proxy(self, own: ProxyEndpoint | None, host: str, port: int) -> ProxyEndpoint | None:
        """Return the proxy of a job for a connection to this host. `own`: of the job, None if it has none."""
        if own is None:
            return self.find_proxy(host, port)
        return None if own == NO_PROXY else own

    def find_proxy_of_url(self, url: str) -> ProxyEndpoint | None:
        """Return the proxy for a request of this URL; None: send it directly. Raises ValueError."""
        if self.proxy is None:
            return None
        parts = urlsplit(url)
        return self.find_proxy(parts.hostname or "", effective_port(parts.scheme, parts.port))

    def uses_proxy(self, target: Target) -> bool:
        """Return whether the check of this target uses the proxy of the settings."""
        from jobs.targets import AzureTarget, HttpTarget  # with all models of targets, which settings do without

        if isinstance(target, AzureTarget):
            return self.find_proxy(target.host, 443) is not None
        if not isinstance(target, HttpTarget) or target.proxy is not None:
            return False
        try:
            return self.find_proxy_of_url(target.url) is not None
        except ValueError:
            return False


DIRECT = Outbound()


def _is_always_direct(host: str) -> bool:
    """Return whether a normalized host is this machine, or one that only this machine and its neighbors reach."""
    if not host or host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        forms = classify_address(host)
    except ValueError:
        return False
    return any(form.address.is_loopback or form.kind.policy is AddressPolicy.NEVER for form in forms)


def parse_no_proxy(entries: Sequence[str]) -> tuple[HostPattern, ...]:
    """Parse what connects directly. As elsewhere, a name includes all names below it, and a dot at the beginning
    excludes the name itself. Raises ValueError with what to write instead.
    """
    return tuple(pattern for entry in entries for pattern in _parse_entry(entry.strip()))


def _parse_entry(entry: str) -> tuple[HostPattern, ...]:
    pattern = parse_host_pattern(f"*{entry}" if entry.startswith(".") else entry)
    if "*" in pattern.name or pattern.network is not None:
        return (pattern,)
    return pattern, parse_host_pattern(f"*.{entry}")
