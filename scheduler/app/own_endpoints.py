"""Where a server that runs next to this command serves the API: never a target of a check. Used by commands."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from config.settings.model import Settings
from jobs.checks.addresses import OwnEndpoint


def server_endpoints(settings: Settings) -> tuple[OwnEndpoint, ...]:
    """Return the address that the server has recorded next to its store, and that of the settings."""
    return tuple(dict.fromkeys(_find_server_endpoints(settings)))


def _find_server_endpoints(settings: Settings) -> Iterator[OwnEndpoint]:
    from scheduler.stores.sqlite.file_lock import read_api_address

    if settings.sqlite_path is not None and (address := read_api_address(settings.sqlite_path)):
        parts = urlsplit(address)
        yield OwnEndpoint(parts.hostname or "", parts.port or 80)
    if settings.port:
        yield OwnEndpoint(settings.host, settings.port)
