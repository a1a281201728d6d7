"""The host that a job asks, as what its jobs share is counted by it. Called by budget.py and scheduler.worker. Pure."""

from __future__ import annotations

from functools import lru_cache

from jobs.running.retries.retry_messages import host_with_port

_MOST_HOSTS = 1000
_HOST_BEGINS = len("https://")

_cached_host_of = lru_cache(_MOST_HOSTS)(host_with_port)


def host_of_endpoint(endpoint: str) -> str:
    """Return the host with its port; the endpoint itself if it names none.

    Taking a URL apart costs as much as all else that is counted for a run, so what follows the host is cut off first.
    """
    end = endpoint.find("/", _HOST_BEGINS)
    return _cached_host_of(endpoint if end < 0 else endpoint[:end])
