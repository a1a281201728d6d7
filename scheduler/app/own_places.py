"""Where a server that runs next to this command serves the API: never a target of a check. Used by commands."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from config.settings import Settings
from jobs.checks.own_places import OwnPlace


def server_places(settings: Settings) -> tuple[OwnPlace, ...]:
    """Return the address that the server has recorded beside its store, and that of the settings."""
    return tuple(dict.fromkeys(_of_the_server(settings)))


def _of_the_server(settings: Settings) -> Iterator[OwnPlace]:
    from scheduler.stores.file_lock import noted_address

    if settings.sqlite_path is not None and (address := noted_address(settings.sqlite_path)):
        parts = urlsplit(address)
        yield OwnPlace(parts.hostname or "", parts.port or 80)
    if settings.port:
        yield OwnPlace(settings.host, settings.port)
