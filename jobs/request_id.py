"""The id of the API request that the code runs for.

Set by scheduler.api.middleware.stack, read by observability.logs and by problems.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class _Request:
    id: str
    is_running: bool = True


_current: ContextVar[_Request | None] = ContextVar("api_request", default=None)


def current_request_id() -> str:
    """Return the id; empty outside of a request, and in tasks that outlive theirs."""
    request = _current.get()
    return request.id if request is not None and request.is_running else ""


@contextmanager
def run_for_request(request_id: str) -> Iterator[None]:
    """Mark the block, and the tasks that it starts, as part of the request until the block ends."""
    request = _Request(request_id)
    token = _current.set(request)
    try:
        yield
    finally:
        request.is_running = False
        _current.reset(token)
