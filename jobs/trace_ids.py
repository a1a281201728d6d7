"""The ids of a run's trace (W3C Trace Context), derived from the run's id, and the id of an API request in progress.

The checks send the ids of a trace to their targets, and telemetry creates the run's spans with them, without passing
them around. The API sets the id of its request, which logs and problems show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

TRACE_HEADER: Final = "traceparent"

_STEP_SEPARATOR = "/"
"""Separates a run's id from the number of a step; a run's id never contains it."""
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}")


def trace_id_of(run_id: str) -> int:
    """Return the trace's id: 128 bits, never zero."""
    return int.from_bytes(_digest(run_id)[:16]) or 1


def span_id_of(run_id: str, attempt: int = 0) -> int:
    """Return the id of an attempt's span, or of the run's own (0): 64 bits, never zero."""
    return int.from_bytes(_digest(f"{run_id.partition(_STEP_SEPARATOR)[0]} {attempt}")[:8]) or 1


def format_trace_id(run_id: str) -> str:
    """Return the trace's id as tools show it: 32 hexadecimal digits."""
    return f"{trace_id_of(run_id):032x}"


def format_trace_parent(run_id: str, attempt: int, *, is_sampled: bool = True) -> str:
    """Return the header for a request of an attempt, or of one of its steps, whose id starts with the run's id.

    `is_sampled`: the flag that requests the target to record its part of the trace.
    """
    flags = "01" if is_sampled else "00"
    return f"00-{trace_id_of(run_id):032x}-{span_id_of(run_id, attempt):016x}-{flags}"


def parse_trace_parent(text: str) -> tuple[int, int] | None:
    """Parse a header into the trace's and the span's id; None if it is invalid."""
    found = _FORM.match(text.strip().lower())
    if found is None:
        return None
    trace, span = int(found["trace"], 16), int(found["span"], 16)
    return (trace, span) if trace and span else None


def _digest(text: str) -> bytes:
    return sha256(text.partition(_STEP_SEPARATOR)[0].encode()).digest()


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
