"""The host of an endpoint, the key of limits that jobs share. Called by jobs.running and scheduler.worker. Pure."""

from __future__ import annotations

from functools import lru_cache

from jobs.running.retries.retry_messages import host_with_port

_MOST_HOSTS = 1000
_HOST_BEGINS = len("https://")

_cached_host_of = lru_cache(_MOST_HOSTS)(host_with_port)


def host_of_endpoint(endpoint: str) -> str:
    """Return the host with its port; the endpoint itself if it has none.

    Parsing a URL costs as much as all other counting of a run, so the path is cut off before the cached lookup.
    """
    end = endpoint.find("/", _HOST_BEGINS)
    return _cached_host_of(endpoint if end < 0 else endpoint[:end])
