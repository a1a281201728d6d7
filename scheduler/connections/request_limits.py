"""Limits of a request: bytes of its head, seconds for its head and body.

Used by scheduler.connections.protocol; the sizes also by scheduler.api.requests.guard, for both hosts.
"""

from __future__ import annotations

from typing import Final

MAX_HEAD_BYTES: Final = 32 * 1024
"""Bytes of a request's line and headers."""
MAX_HEADERS: Final = 100
MAX_URL_BYTES: Final = 8 * 1024
"""Bytes of path and query."""
HEAD_TIMEOUT: Final = 10.0
"""Seconds for the head of a request."""
BODY_TIMEOUT: Final = 10.0
"""Seconds for the body of a request, after its head, in addition to the time at MIN_BODY_RATE."""
MIN_BODY_RATE: Final = 256 * 1024
"""Bytes a second. A large body that arrives faster is not cut."""

HEAD_TOO_LARGE: Final = (
    f"The head of the request is too large: at most {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers."
)
URL_TOO_LONG: Final = f"The URL of the request is too long: at most {MAX_URL_BYTES} bytes of path and query."
