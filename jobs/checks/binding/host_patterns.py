"""Hosts as rules name them: `api.example`, `*.internal`, `10.20.0.0/16`, each with or without a port. Pure."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from jobs.checks.guard.addresses import IPNetwork
from jobs.formats.wildcards import matches_wildcard

ANY_HOST = "*"
_BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?")
_NAME = re.compile(r"[a-z0-9*_-]+(\.[a-z0-9*_-]+)*")


class Recipient(NamedTuple):
    """Who receives a request. `host`: normalized by `normalize_host`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @staticmethod
    def from_host(host: str, port: int) -> Recipient:
        """Return the recipient for a host as written in a URL or a job."""
        return Recipient(normalize_host(host), port)


def normalize_host(host: str) -> str:
    """Return a host in the form that comparisons use: lower case, no dot at its end, ASCII.

    An address takes its canonical form, however it was spelled (`127.1`, `0x7f000001`, `::ffff:127.0.0.1`).
    """
    text = host.lower().removeprefix("[").removesuffix("]").rstrip(".")
    if not text.isascii():
        text = _to_ascii(text)
    with suppress(ValueError):
        address = ip_address(text.partition("%")[0])
        return str(getattr(address, "ipv4_mapped", None) or address)
    if text[:1].isdecimal() and not re.search(r"\s", text):
        with suppress(OSError, ValueError):
            return socket.inet_ntoa(socket.inet_aton(text))
    return text


def _to_ascii(text: str) -> str:
    """Encode by the rules that httpx uses. A name that is invalid by them stays unchanged, and matches no pattern."""
    import httpx

    try:
        return httpx.URL(scheme="https", host=text).raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        return text


@dataclass(frozen=True, slots=True)
class HostPattern:
    """A rule's hosts. `name`: `*` stands for any text; `network`: in place of a name; `port` None: any."""

    text: str
    name: str = ""
    network: IPNetwork | None = None
    port: int | None = None

    def matches(self, place: Recipient) -> bool:
        """Return whether the pattern includes the recipient."""
        if self.port is not None and place.port != self.port:
            return False
        if self.network is None:
            return matches_wildcard(place.host, self.name)
        with suppress(ValueError):
            return ip_address(place.host) in self.network
        return False

    def __str__(self) -> str:
        return self.text


def parse_host_pattern(text: str) -> HostPattern:
    """Parse a pattern. Raises ValueError with what to write instead."""
    text = text.strip()
    if "://" in text or re.search(r"[\s@?#]", text):
        raise ValueError(f"{text!r} is not a host: write a name such as *.internal, without scheme and path")
    host, port = _split_port(text)
    with suppress(ValueError):
        return HostPattern(text, network=ip_network(host, strict=False), port=port)
    if "/" in host:
        raise ValueError(f"{text!r} is not a host or a network: write api.internal, *.internal or 10.20.0.0/16")
    if host == ANY_HOST:
        return HostPattern(text, name=ANY_HOST, port=port)
    name = _normalize_pattern(host) if "*" in host else normalize_host(host)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not a host: write a name such as api.internal or *.internal, or an address")
    if "*" in name and not name.rpartition("*")[2].startswith("."):
        raise ValueError(
            f"{text!r} would also match hosts of strangers: after the last * write a dot and the rest of the name, "
            "such as *.internal; networks are written like 10.20.0.0/16"
        )
    return HostPattern(text, name=name, port=port)


def _normalize_pattern(host: str) -> str:
    return ".".join(label if label.isascii() else _to_ascii(label) for label in host.lower().rstrip(".").split("."))


def _split_port(text: str) -> tuple[str, int | None]:
    """Return host and port of `api.internal:8443`, `[::1]:8443` or `::1`. Raises ValueError."""
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        host, port = bracketed[1], bracketed[2]
    elif text.count(":") > 1:
        return text, None
    else:
        host, _, port = text.partition(":")
        port = port if ":" in text else None
    if port is None:
        return host, None
    if not (port.isdecimal() and 1 <= int(port) <= 65535):
        raise ValueError(f"{text!r} has no port from 1 to 65535 after the colon")
    return host, int(port)
