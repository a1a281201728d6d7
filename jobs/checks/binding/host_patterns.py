"""Hosts as the rules name them: `api.example`, `*.internal`, `10.20.0.0/16`, each with or without a port. Pure."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from jobs.checks.guard.addresses import IPNetwork
from jobs.formats.wildcards import matches_wildcard

ANY_HOST = "*"
_BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?")
_NAME = re.compile(r"[a-z0-9*_-]+(\.[a-z0-9*_-]+)*")


class Recipient(NamedTuple):
    """Whom a request is for. `host`: as `normalize_host` gives it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @staticmethod
    def from_host(host: str, port: int) -> Recipient:
        """The place of a host as it is written in a URL or a job."""
        return Recipient(normalize_host(host), port)


@lru_cache(4096)
def normalize_host(host: str) -> str:
    """Return a host as hosts are compared: in lower case, without a dot at its end, in ASCII; an address in its usual
    form, however it was spelt (`127.1`, `0x7f000001`, `::ffff:127.0.0.1`)."""
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
    """By the rules that httpx goes by. A name that is none by these rules stays as it is, and fits no pattern."""
    import httpx

    try:
        return httpx.URL(scheme="https", host=text).raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        return text


@dataclass(frozen=True, slots=True)
class HostPattern:
    """What a rule says of a host. `name`: with `*` for any text; `network`: in place of it; `port` None: any."""

    text: str
    name: str = ""
    network: IPNetwork | None = None
    port: int | None = None

    def matches(self, place: Recipient) -> bool:
        """Return whether the place is one of those that are meant."""
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
    """Read a pattern. Raises ValueError, which says what to write instead."""
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
            f"{text!r} would also fit hosts of strangers: behind the last * write a dot and the rest of the name, "
            "such as *.internal; networks are written like 10.20.0.0/16"
        )
    return HostPattern(text, name=name, port=port)


def _normalize_pattern(host: str) -> str:
    return ".".join(label if label.isascii() else _to_ascii(label) for label in host.lower().rstrip(".").split("."))


def _split_port(text: str) -> tuple[str, int | None]:
    """The host and the port of `api.internal:8443`, `[::1]:8443`, `::1`. Raises ValueError."""
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
        raise ValueError(f"{text!r} has no port from 1 to 65535 behind the colon")
    return host, int(port)
