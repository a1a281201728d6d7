"""Reads the headers of a request. Used by the middleware of scheduler.api."""

from __future__ import annotations

from functools import partial

from starlette.types import Scope


def header_values(scope: Scope, name: str) -> list[str]:
    """Return all values of a header by its lowercase name."""
    key = name.encode("ascii")
    return [value.decode("latin-1") for given, value in scope["headers"] if given == key]


def header_reader(scope: Scope) -> partial[list[str]]:
    """Return a function that returns all values of a header by its lowercase name."""
    return partial(header_values, scope)
