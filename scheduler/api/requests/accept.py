"""Reads the media types and encodings that a client accepts (RFC 9110, section 12.5).

Called by scheduler.api.routes.metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


def find_best(header: str, types: Iterable[str]) -> float:
    """Return the greatest weight that an Accept header gives one of these media types or ranges; 0 without them.

    `types`: as `text/plain`, or with a parameter that must not differ: `a/b;version=1.0.0` matches `a/b` as well.
    """
    expected = [_parse(each) for each in types]
    found = [
        weight
        for name, parameters, weight in _items(header)
        for other, required in expected
        if name == other and all(parameters.get(key, value) == value for key, value in required.items())
    ]
    return max(found, default=0.0)


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding header names gzip."""
    return find_best(header, ("gzip",)) > 0


def _items(header: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for item in header.split(","):
        name, parameters = _parse(item)
        try:
            weight = float(parameters.get("q", "1"))
        except ValueError:
            weight = 0.0
        yield name, parameters, weight


def _parse(item: str) -> tuple[str, Mapping[str, str]]:
    name, *parts = (part.strip() for part in item.split(";"))
    pairs = (part.partition("=") for part in parts)
    return name.lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
