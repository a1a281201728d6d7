"""Parses and checks the authority of a Host header or an origin. Pure.

Called by scheduler.api.requests.guard and scheduler.api.requests.origins.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
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
