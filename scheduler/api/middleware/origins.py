"""Checks the Host header, and detects cross-site requests, from which neither loopback nor a function key in the URL
protects. Pure.

A browser sends Sec-Fetch-Site; otherwise (Safari before 16.4, plain HTTP to another host) Origin or Referer. Other
clients send none of the three and are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from jobs.formats.host_ports import DEFAULT_PORTS
from jobs.problems import make_printable

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@,\[\]\\]+)(?::([0-9]{0,5}))?")
ANY_HOST = "*"


class Authority(NamedTuple):
    """A host name and a port; None for the default port of the scheme."""

    name: str
    port: int | None


def parse_authority(text: str) -> Authority | None:
    """Parse `name`, `name:port` or `[address]:port`; None if it is invalid."""
    found = _AUTHORITY.fullmatch(text.strip())
    if found is None or int(found[2] or 0) > 65535:
        return None
    return Authority(found[1].lower(), int(found[2]) if found[2] else None)


def parse_origin(text: str) -> Authority | None:
    """Parse the authority of an http or https URL, with its port; None for anything else, such as `null`."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    place = parse_authority(parts.netloc)
    if place is None or parts.scheme not in DEFAULT_PORTS:
        return None
    return Authority(place.name, place.port or DEFAULT_PORTS[parts.scheme])


def matches_host(origin: Authority, host: Authority) -> bool:
    """Whether an origin belongs to the host. A host without a port matches both default ports, because a proxy can
    terminate TLS and thus hide the scheme."""
    ports = (host.port,) if host.port else DEFAULT_PORTS.values()
    return origin.name == host.name and origin.port in ports


def find_host_error(given: Sequence[str], allowed: Collection[str]) -> str:
    """Return why the Host headers are rejected; empty if they are accepted. `allowed`: names, or ANY_HOST."""
    if len(given) > 1:
        return f"The request has {len(given)} Host headers, but exactly one is allowed."
    if ANY_HOST in allowed:
        return ""
    place = parse_authority(given[0]) if given else None
    if place is not None and place.name in allowed:
        return ""
    names = ", ".join(allowed)
    if not given:
        return f"The request has no Host header. Send one of {names}."
    return (
        f"Host {make_printable(given[0], 100)!r} is not allowed. Send one of {names}; "
        "configure a proxy to set the Host header."
    )


SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OWN_SITES = frozenset({"same-origin", "none"})
_HOST_HEADERS = ("host", "x-forwarded-host", "x-original-host")
"""A proxy can rewrite Host and forward the original name. A page of another site cannot set such a header, because the
CORS preflight request is rejected."""


def find_site_error(headers: Callable[[str], Sequence[str]], server: str = "") -> str:
    """Return why a request that changes something is rejected; empty if it is accepted.

    `headers`: returns all values of a header by its lowercase name. `server`: the authority to use without a Host
    header, as behind the adapter of the Functions host.
    """
    if sites := headers("sec-fetch-site"):
        foreign = next((site for site in sites if site.strip().lower() not in _OWN_SITES), None)
        return "" if foreign is None else _error_text("Sec-Fetch-Site", foreign, "same-origin")
    hosts = [name for header in _HOST_HEADERS for value in headers(header) for name in value.split(",")] or [server]
    for header in ("origin", "referer"):
        if given := headers(header):
            foreign = next((value for value in given if not _is_own_origin(value, hosts)), None)
            return "" if foreign is None else _error_text(header.capitalize(), foreign, " or ".join(hosts))
    return ""


def _is_own_origin(value: str, hosts: Sequence[str]) -> bool:
    origin = parse_origin(value)
    places = (parse_authority(host) for host in hosts)
    return origin is not None and any(place is not None and matches_host(origin, place) for place in places)


def _error_text(header: str, found: str, expected: str) -> str:
    return (
        f"Cross-site requests are not allowed: {header} is {make_printable(found, 100)!r}, "
        f"expected {make_printable(expected, 200)}."
    )
