"""Detects cross-site requests, from which neither loopback nor a function key in the URL protects. Pure.

A browser sends Sec-Fetch-Site; otherwise (Safari before 16.4, plain HTTP to another host) Origin or Referer. Other
clients send none of the three and are accepted. Called by scheduler.api.requests.guard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobs.problems import make_printable
from scheduler.api.requests.hosts import matches_host, parse_authority, parse_origin

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
